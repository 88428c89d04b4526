"""The first step pins the model, and its errors come through as they are."""

from pathlib import Path

import pytest

from infra.errors import NoWeightsError
from infra.models.source import ModelSource, digest_of
from tasks.resolve import resolve_model
from tests.support.places import place_at


def test_a_folder_is_pinned_by_its_digest(tiny_model: Path, tmp_path: Path) -> None:
    """What moves on is a path and a digest, and it survives JSON."""
    source = resolve_model.fn(str(tiny_model), None, place_at(tmp_path / "store"))

    assert source == ModelSource(path=tiny_model.resolve(), digest=digest_of(tiny_model))
    assert ModelSource.model_validate_json(source.model_dump_json()) == source


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    """The error names the folder."""
    (tmp_path / "config.json").write_text("{}")

    with pytest.raises(NoWeightsError, match=tmp_path.name):
        resolve_model.fn(str(tmp_path), None, place_at(tmp_path / "store"))
