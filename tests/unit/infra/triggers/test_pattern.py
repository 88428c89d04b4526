"""Which tags ask for a release, and of which version."""

import pytest

from infra.errors import TagPatternError
from infra.triggers.pattern import TagPattern


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("release/v1.2.0", "v1.2.0"),
        ("release/1.2.0", "v1.2.0"),
        ("release/v2-rc.1", "v2-rc.1"),
        ("release/", None),
        ("release/latest", None),
        ("release/v1/2", None),
        ("release/v1..2", None),
        ("release/v1 2", None),
        ("release/../v1", None),
        ("v1.2.0", None),
        ("v1.2.0-auto_gptq", None),
        ("nightly/v1.2.0", None),
    ],
)
def test_the_star_stands_for_the_version(tag: str, version: str | None) -> None:
    """A tag asks for the version in it, with or without its v; any other asks for nothing."""
    assert TagPattern.parse("release/*").version(tag) == version


def test_a_pattern_may_end_with_words() -> None:
    """What stands behind the star must be there, too."""
    pattern = TagPattern.parse("ship-*-int4")

    assert pattern.version("ship-v3.1-int4") == "v3.1"
    assert pattern.version("ship-v3.1-int8") is None
    assert pattern.tag("v3.1") == "ship-v3.1-int4"


@pytest.mark.parametrize("pattern", ["*", "v*", "v1.*", "v0*-auto_gptq", "*-release", " *"])
def test_a_pattern_cannot_catch_the_tags_of_a_release(pattern: str) -> None:
    """A release that starts another release would never end."""
    with pytest.raises(TagPatternError, match=r"would match the tags that a release sets itself"):
        TagPattern.parse(pattern)


@pytest.mark.parametrize(("pattern", "stars"), [("release", 0), ("release/*/*", 2)])
def test_a_pattern_has_one_star(pattern: str, stars: int) -> None:
    """Without a star there is no version, with two nobody knows which it is."""
    with pytest.raises(TagPatternError, match=f"has {stars} stars"):
        TagPattern.parse(pattern)
