"""An export of an earlier run of the same request is known again, and no other."""

import json
import shutil
from pathlib import Path

import pytest

from infra.errors import OutputExistsError
from infra.models.source import ModelSource, resolve
from tasks.finished import find_export, require_free_or_ours, size_of
from tasks.specs import ExportRequest, ExportSpec

TOLD = {"variant": "pile", "blocks": [1, 2]}


@pytest.fixture
def source(tiny_model: Path) -> ModelSource:
    """Return the tiny model."""
    return resolve(str(tiny_model))


@pytest.fixture
def request_(tmp_path: Path, tiny_model: Path, source: ModelSource) -> ExportRequest:
    """Return a request whose one format is there: a sound checkpoint that tells what it is."""
    folder = tmp_path / "auto_gptq"
    shutil.copytree(tiny_model, folder)
    told = {"source": {"digest": source.digest}, "provenance": TOLD | {"versions": {"torch": "2"}}}
    (folder / "roundhouse.json").write_text(json.dumps(told))
    export = ExportSpec(formats=("auto_gptq",), output_dir=tmp_path)
    return ExportRequest(export=export, provenance=TOLD)


def test_a_finished_export_of_this_request_is_taken(
    source: ModelSource, request_: ExportRequest
) -> None:
    """A run that was stopped after it goes on behind it."""
    found = find_export.fn(source, request_)

    assert (found.variant, set(found.folders)) == ("pile", {"auto_gptq"})
    assert found.missing(request_.export) is None
    require_free_or_ours(source, request_)


def test_nothing_there_is_nothing_found(source: ModelSource, tmp_path: Path) -> None:
    """The export is to be made, all of it."""
    export = ExportSpec(output_dir=tmp_path / "none")

    found = find_export.fn(source, ExportRequest(export=export, provenance=TOLD))

    assert found.folders == {}
    assert found.missing(export) == export


def test_one_format_of_two_is_taken_and_the_other_is_missing(
    source: ModelSource, request_: ExportRequest
) -> None:
    """A run that was killed between two renames left the first; only the second is written."""
    both = request_.export.model_copy(update={"formats": ("auto_round", "auto_gptq")})

    found = find_export.fn(source, ExportRequest(export=both, provenance=TOLD))

    missing = found.missing(both)
    assert missing is not None
    assert (set(found.folders), missing.formats) == ({"auto_gptq"}, ("auto_round",))
    other = found.model_copy(update={"folders": {"auto_round": both.output_dir}, "bytes": 5})
    assert set(found.joined(other).folders) == {"auto_round", "auto_gptq"}
    assert found.joined(other).bytes == found.bytes + 5


@pytest.mark.parametrize("key", ["variant", "blocks"])
def test_an_export_of_another_request_is_in_the_way(
    source: ModelSource, request_: ExportRequest, key: str
) -> None:
    """Nothing overwrites a checkpoint."""
    other = request_.model_copy(update={"provenance": TOLD | {key: "other"}})

    with pytest.raises(OutputExistsError, match="auto_gptq exists already"):
        require_free_or_ours(source, other)
    with pytest.raises(OutputExistsError, match="auto_gptq exists already"):
        find_export.fn(source, other)


def test_an_export_of_another_model_is_in_the_way(
    source: ModelSource, request_: ExportRequest
) -> None:
    """The same recipe on other weights is another request."""
    other = source.model_copy(update={"digest": "0" * 64})
    with pytest.raises(OutputExistsError):
        require_free_or_ours(other, request_)


def test_a_damaged_export_is_in_the_way(source: ModelSource, request_: ExportRequest) -> None:
    """It is not used, and it is not overwritten either."""
    weights = request_.export.output_dir / "auto_gptq" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])

    with pytest.raises(OutputExistsError):
        find_export.fn(source, request_)


def test_a_folder_that_tells_nothing_is_in_the_way(
    source: ModelSource, request_: ExportRequest
) -> None:
    """Whatever it is, it is not ours."""
    (request_.export.output_dir / "auto_gptq" / "roundhouse.json").unlink()
    with pytest.raises(OutputExistsError):
        require_free_or_ours(source, request_)


def test_files_with_two_names_count_once(tmp_path: Path) -> None:
    """Both formats share their shards."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "shard").write_bytes(bytes(100))
    (tmp_path / "b" / "shard").hardlink_to(tmp_path / "a" / "shard")
    (tmp_path / "b" / "own").write_bytes(bytes(7))

    assert size_of([tmp_path / "a", tmp_path / "b"]) == 107
