"""Names of repositories, branches and tags that a release may have."""

import pytest
from pydantic import ValidationError

from infra.publishing.target import Target


def test_both_formats_in_one_repository() -> None:
    """GPTQ has a branch and a tag of its own."""
    target = Target(repo_id="acme/m", version="v1.0.0")

    assert target.gptq_place == ("acme/m", "auto_gptq")
    assert target.gptq_tag == "v1.0.0-auto_gptq"
    assert target.repositories == ("acme/m",)


def test_a_second_repository() -> None:
    """There GPTQ is what readers get by default."""
    target = Target(repo_id="acme/m", gptq_repo_id="acme/m-gptq", version="v1.0.0")

    assert target.gptq_place == ("acme/m-gptq", "main")
    assert target.repositories == ("acme/m", "acme/m-gptq")


@pytest.mark.parametrize(
    "repo_id", ["m", "acme/", "acme/m/x", "acme/a..b", "acme/a--b", "acme/m.git", "a b/c", "../m"]
)
def test_no_name_of_a_repository(repo_id: str) -> None:
    """What the Hub would not take is refused before it is asked."""
    with pytest.raises(ValidationError, match="no name of a repository"):
        Target(repo_id=repo_id, version="v1.0.0")


@pytest.mark.parametrize(
    "version", ["", "v 1", "v1..2", "-v1", "v1.lock", "a/.b", "a//b", "v1.", "v1~2", "v1:2"]
)
def test_no_name_of_a_tag(version: str) -> None:
    """What git would not take is refused, too."""
    with pytest.raises(ValidationError, match="no name of a branch or tag"):
        Target(repo_id="acme/m", version=version)


@pytest.mark.parametrize("version", ["abcdef1", "0" * 40])
def test_a_tag_that_could_be_a_commit(version: str) -> None:
    """A reader of the card must know which of the two is meant."""
    with pytest.raises(ValidationError, match="looks like a commit"):
        Target(repo_id="acme/m", version=version)


@pytest.mark.parametrize(
    "names",
    [
        {"version": "main"},
        {"version": "auto_gptq"},
        {"version": "v1", "gptq_branch": "main"},
        {"version": "v1", "gptq_branch": "v1-auto_gptq"},
    ],
)
def test_no_name_is_used_twice(names: dict[str, str]) -> None:
    """A branch and a tag of one name would be told apart by nobody."""
    with pytest.raises(ValidationError, match="would name two things"):
        Target(repo_id="acme/m", **names)


def test_the_same_repository_twice() -> None:
    """Both formats cannot be on one branch."""
    with pytest.raises(ValidationError, match="both formats would go to main"):
        Target(repo_id="acme/m", gptq_repo_id="acme/m", version="v1.0.0")
