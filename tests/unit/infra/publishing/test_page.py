"""docs/publishing.md says what the code says."""

from pathlib import Path

import pytest

from infra import errors

PAGE = (Path(__file__).parents[4] / "docs" / "publishing.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", errors.PublishError.__subclasses__(), ids=lambda k: k.__name__)
def test_every_error_is_explained(kind: type[errors.PublishError]) -> None:
    """Each has a row that says what it means and what to do."""
    assert f"\n| `{kind.__name__}` | " in PAGE
