"""The sets with a short name are pinned, and their licence is said."""

import re

import pytest

from infra.calibration.known import KNOWN, licence_of


@pytest.mark.parametrize("name", KNOWN)
def test_every_known_set_is_pinned_and_has_a_licence(name: str) -> None:
    """A short name means one commit, and its licence is said."""
    assert re.fullmatch("[0-9a-f]{40}", KNOWN[name].revision)
    assert KNOWN[name].licence == licence_of(KNOWN[name].source)


def test_nothing_is_known_about_other_licences() -> None:
    """No licence is invented."""
    assert None is licence_of("owner/set")
