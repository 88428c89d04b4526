"""The pages say what the code says: every field, every error, every file of an export."""

import re
from pathlib import Path

import pytest

from flows.reference import DOCS, errors_page, recipe_page
from infra.checkpoints.configs import quantization_config
from infra.checkpoints.plan import FORMATS
from quantcore.grid import IntGrid
from tests.support.exports import write_export

ROOT = DOCS.parent
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)[^)]*\)")
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md")])


def page(name: str) -> str:
    """Return a page of docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "written"), [("recipe.md", recipe_page), ("errors.md", errors_page)]
)
def test_what_is_written_by_the_code_is_up_to_date(name: str, written: object) -> None:
    """If this fails, run `python -m flows.reference`."""
    assert callable(written)
    assert page(name) == written()


def test_every_file_of_an_export_is_explained(tiny_model: Path, tmp_path: Path) -> None:
    """Nothing lies in a published folder that docs/checkpoint-format.md does not name."""
    told = page("checkpoint-format.md")

    for folder in write_export(tiny_model, tmp_path / "out", IntGrid()).values():
        names = {re.sub(r"-of-\d{5}", "-of-0000N", path.name) for path in folder.iterdir()}
        assert sorted(name for name in names if f"`{name}`" not in told) == []


@pytest.mark.parametrize("kind", FORMATS)
def test_every_key_of_a_config_is_explained(kind: str) -> None:
    """Each key that clients read is named with its reason, and each fixed word of its value."""
    told = page("checkpoint-format.md")
    config = quantization_config(kind, bits=4, group_size=128, sym=True)

    assert sorted(key for key in config if f"`{key}`" not in told) == []
    words = [value for value in config.values() if isinstance(value, str)]
    assert [word for word in words if f"`{word}`" not in told] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """A link within the project names a file that is there."""
    text = path.read_text(encoding="utf-8")

    assert [link for link in LINK.findall(text) if not (path.parent / link).exists()] == []
