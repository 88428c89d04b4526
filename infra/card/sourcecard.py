"""What the 16-bit model's own card says of its licence; it must travel with what is made of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from infra.files import explaining

CARD = "README.md"
_FENCE = "---"


class SourceCard(NamedTuple):
    """What is taken over from a card; nothing where it says nothing."""

    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    languages: tuple[str, ...] = ()


def read_source_card(folder: Path) -> SourceCard:
    """Read the card in a model folder.  One that is missing or broken says nothing.

    Raises:
        StorageError: It is there and cannot be read.
    """
    path = folder / CARD
    with explaining(path, "reading"):
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    told = _front_matter(text)
    languages = told.get("language")
    listed = languages if isinstance(languages, list) else [languages]
    return SourceCard(
        license=_word(told.get("license")),
        license_name=_word(told.get("license_name")),
        license_link=_word(told.get("license_link")),
        languages=tuple(each for each in listed if isinstance(each, str)),
    )


def _front_matter(text: str) -> Mapping[str, Any]:
    """Return the YAML between the first two lines of dashes."""
    first, *lines = text.splitlines() or [""]
    if first.strip() != _FENCE or _FENCE not in lines:
        return {}
    try:
        told = yaml.safe_load("\n".join(lines[: lines.index(_FENCE)]))
    except yaml.YAMLError:
        return {}
    return told if isinstance(told, dict) else {}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None
