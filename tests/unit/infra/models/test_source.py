"""How a folder becomes a `ModelSource`: what the digest covers, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.errors import (
    FolderRevisionError,
    ModelConfigError,
    ModelNotFoundError,
    NoWeightsError,
    TruncatedShardError,
)
from infra.models.source import ModelSource, digest_of, read_config, resolve
from tests.support.tiny import write_tiny_qwen2_vl

SHARD = "model-00002-of-00003.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a model in three shards that the test may change."""
    return write_tiny_qwen2_vl(tmp_path / "model", hidden=128, shards=3)


def _flip_last_byte(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_a_folder_is_recorded_by_its_absolute_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative name gives the absolute folder, no repository and no commit."""
    monkeypatch.chdir(folder.parent)

    source = resolve("model")

    assert source == ModelSource(
        path=folder.resolve(), repo_id=None, commit=None, digest=digest_of(folder)
    )


def test_a_source_survives_json(folder: Path) -> None:
    """A source read back from JSON is equal, and its fields cannot be changed or misspelled."""
    source = resolve(str(folder))

    assert ModelSource.model_validate_json(source.model_dump_json()) == source
    with pytest.raises(ValidationError):
        source.digest = "0" * 64  # type: ignore[misc]
    with pytest.raises(ValidationError):
        ModelSource.model_validate(source.model_dump() | {"revison": "main"})


def test_the_digest_does_not_depend_on_where_the_folder_is(folder: Path, tmp_path: Path) -> None:
    """A copy under another name, with later times, has the same digest."""
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "copy", copy_function=shutil.copyfile)

    assert digest_of(copy) == digest_of(folder)


def _replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: _flip_last_byte(folder / SHARD),
        lambda folder: _replace(folder / "config.json", "1e-06", "1e-05"),
        lambda folder: _replace(folder / "tokenizer_config.json", "assistant", "helper"),
        lambda folder: (folder / "chat_template.json").unlink(),
        lambda folder: (folder / "chat_template.json").rename(folder / "chat.json"),
    ],
    ids=["weight", "config", "chat format", "side file gone", "side file renamed"],
)
def test_the_digest_sees_every_change_that_matters(
    folder: Path, change: Callable[[Path], object]
) -> None:
    """One bit of a weight, a setting, a name: each changes the digest."""
    before = digest_of(folder)

    change(folder)

    assert digest_of(folder) != before


def test_the_digest_is_blind_to_what_is_not_read(folder: Path) -> None:
    """A README, a pickle, or weights that the index does not name leave it as it was."""
    before = digest_of(folder)

    (folder / "README.md").write_text("words")
    (folder / "pytorch_model.bin").write_bytes(b"\x80")
    (folder / "other.safetensors").write_bytes(b"anything")

    assert digest_of(folder) == before


def test_a_folder_has_no_revisions(folder: Path) -> None:
    """A revision of a folder is refused, naming both."""
    with pytest.raises(FolderRevisionError) as caught:
        resolve(str(folder), "v1.0")

    assert "revision='v1.0'" in str(caught.value)
    assert str(folder.resolve()) in str(caught.value)


@pytest.mark.parametrize("model", ["", "./nothing", "/nothing/at/all", "~/no-such-folder", "a/b/c"])
def test_a_folder_that_is_not_there(model: str) -> None:
    """What can only be a folder is not looked for on the Hub."""
    with pytest.raises(ModelNotFoundError) as caught:
        resolve(model)

    assert f"No model {model!r}" in str(caught.value)
    assert "Name the folder" in str(caught.value)


def test_a_file_in_place_of_a_folder(folder: Path) -> None:
    """A weight file is not a model; the error says that a folder is wanted."""
    with pytest.raises(ModelNotFoundError, match=f"{SHARD} is a file.*Name the folder"):
        resolve(str(folder / SHARD))


def test_a_folder_without_config(folder: Path) -> None:
    """The error names the folder and the file."""
    (folder / "config.json").unlink()

    with pytest.raises(ModelConfigError, match=f"{folder} holds no config.json"):
        resolve(str(folder))


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"{", "is no JSON"), (b"\xff\xfe", "is no JSON"), (b"[]", "holds a JSON list")],
)
def test_a_config_that_cannot_be_read(folder: Path, content: bytes, says: str) -> None:
    """The error names the file and what it is instead."""
    (folder / "config.json").write_bytes(content)

    with pytest.raises(ModelConfigError, match=f"config.json {says}"):
        resolve(str(folder))


def test_a_config_is_given_as_it_is(folder: Path) -> None:
    """`read_config` adds nothing and leaves nothing out."""
    assert read_config(folder) == json.loads((folder / "config.json").read_text())


def test_weights_are_checked_before_anything_is_done(folder: Path) -> None:
    """Resolving finds a cut shard, and a folder whose weights are all gone."""
    (folder / SHARD).write_bytes((folder / SHARD).read_bytes()[:-8])
    with pytest.raises(TruncatedShardError, match=SHARD):
        resolve(str(folder))

    for path in folder.glob("model*"):
        path.unlink()
    with pytest.raises(NoWeightsError, match=str(folder)):
        resolve(str(folder))
