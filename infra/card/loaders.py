"""What reads each format of a release, with the versions that were tested."""

from pathlib import Path

import yaml

from infra.card.facts import LoaderFacts
from infra.checkpoints.plan import FORMATS, Format

_LOADERS = Path(__file__).with_name("loaders.yaml")


def loader_of(kind: Format) -> LoaderFacts:
    """Return what a user installs to load a format."""
    told = yaml.safe_load(_LOADERS.read_text(encoding="utf-8"))
    return LoaderFacts(format=kind, packages=told[kind])


def loaders() -> tuple[LoaderFacts, ...]:
    """Return what reads every format."""
    return tuple(loader_of(kind) for kind in FORMATS)
