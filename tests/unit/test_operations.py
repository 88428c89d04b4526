"""The page for operators leaves no command without a run, and no kind of error without a remedy."""

from pathlib import Path

import pytest

from flows.errors import FlowError
from flows.reference import DOCS
from infra.errors import InfraError
from quantcore.errors import QuantcoreError
from tests.support.pagecommands import Block, blocks_of

PAGE = (DOCS / "operations.md").read_text(encoding="utf-8")
RUN = {"run", "run: shell", "run: database"}


def test_commands_are_found_with_what_is_said_of_them() -> None:
    """A block without a comment is found, too."""
    page = (
        '<!-- run -->\n```bash\na\n```\n\n```bash\nb\nc\n```\n<!-- elsewhere: x.py "a b" "c" -->\n'
    )

    found = blocks_of(f"{page}```bash\nd\n```\n```python\ne\n```\n")

    assert found[:2] == (Block("run", "a\n"), Block("", "b\nc\n"))
    assert (found[2].text, found[2].elsewhere) == ("d\n", (Path("x.py"), ["a b", "c"]))
    assert len(found) == 3


@pytest.mark.parametrize("block", blocks_of(PAGE), ids=lambda block: block.text.split("\n")[0])
def test_every_command_is_run_by_a_test(block: Block) -> None:
    """Here in order, or where the comment says."""
    if block.mark in RUN:
        return
    assert block.elsewhere, 'say <!-- run --> or <!-- elsewhere: FILE "words" --> above it'
    path, words = block.elsewhere
    text = (DOCS.parent / path).read_text(encoding="utf-8")
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("base", [FlowError, InfraError, QuantcoreError])
def test_every_family_of_errors_has_a_remedy(base: type[Exception]) -> None:
    """In the table at the end of the page."""
    table = PAGE.partition("## When a part fails")[2]
    families = [
        kind.__name__ for kind in base.__subclasses__() if kind.__module__ == base.__module__
    ]

    assert families
    assert [name for name in families if f"`{name}`" not in table] == []
