"""The versions that the card names are those that exports are loaded with in tests."""

import re
from pathlib import Path

import pytest

from infra.card.loaders import loader_of, loaders
from infra.checkpoints.plan import FORMATS, Format

PEERS = Path(__file__).parents[4] / "constraints-peers.txt"


def installed() -> dict[str, str]:
    """Return what the environment of the real clients holds."""
    lines = re.findall(r"(?m)^([\w.-]+)==(\S+)$", PEERS.read_text(encoding="utf-8"))
    return {name.lower().replace("_", "-"): version for name, version in lines}


@pytest.mark.parametrize("kind", FORMATS)
def test_versions_are_those_of_the_tests(kind: Format) -> None:
    """If this fails, the clients were upgraded: say so in infra/card/loaders.yaml."""
    known = installed()

    for name, version in loader_of(kind).packages.items():
        assert known[name.lower()] == version, name


def test_every_format_has_one() -> None:
    """In the order of the formats."""
    assert tuple(each.format for each in loaders()) == FORMATS
