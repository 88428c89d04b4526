"""A worker takes a model only where it is the very model that the run is about."""

import os
import platform
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from infra.errors import AbsentModelError, HubUnreachableError
from infra.models.finding import find, present
from infra.models.source import ModelSource, digest_of
from infra.models.tensors import SINGLE_FILE
from tests.support.places import place_at

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """Return a model that the test may change."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def flip(path: Path, *, keeping_times: bool) -> None:
    """Change the last byte of a file."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    if keeping_times:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    else:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def test_a_folder_that_is_here_is_taken(folder: Path, tmp_path: Path) -> None:
    """As it is."""
    source = find(str(folder), None, place_at(tmp_path / "store"))

    assert present(source, place_at(tmp_path / "store")) == source
    assert present(source, place_at(tmp_path / "other")) == source


def test_a_folder_that_is_not_here_is_named(folder: Path, tmp_path: Path) -> None:
    """With the machine, and what works on several of them."""
    source = find(str(folder), None, place_at(tmp_path / "store"))
    shutil.rmtree(folder)

    message = rf"{folder} is not on this machine \({platform.node()}\).*by s3://, or mount"
    with pytest.raises(AbsentModelError, match=message):
        present(source, place_at(tmp_path / "store"))


def test_a_folder_that_holds_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    """What is learned from it would go on record as learned from the first."""
    source = find(str(folder), None, place_at(tmp_path / "store"))
    flip(folder / SINGLE_FILE, keeping_times=False)

    with pytest.raises(
        AbsentModelError, match=f"{folder}.* is another model .*{source.digest[:12]}"
    ):
        present(source, place_at(tmp_path / "store"))


def test_files_that_nobody_touched_are_not_read_again(folder: Path, tmp_path: Path) -> None:
    """Or each segment would read all of the weights once more."""
    source = find(str(folder), None, place_at(tmp_path / "store"))
    flip(folder / SINGLE_FILE, keeping_times=True)

    assert present(source, place_at(tmp_path / "store")) == source
    with pytest.raises(AbsentModelError):
        present(source, place_at(tmp_path / "fresh"))


def test_a_repository_is_fetched_at_its_commit(tiny_model: Path, tmp_path: Path) -> None:
    """Another machine has it elsewhere, or nowhere."""
    cached = Path(constants.HF_HUB_CACHE) / "models--org--worker" / "snapshots" / COMMIT
    shutil.copytree(tiny_model, cached)
    source = ModelSource(
        path=Path("/on/another/machine"),
        repo_id="org/worker",
        commit=COMMIT,
        digest=digest_of(tiny_model),
    )

    assert present(source, place_at(tmp_path)) == source.model_copy(update={"path": cached})
    with pytest.raises(HubUnreachableError):
        present(source.model_copy(update={"repo_id": "org/none"}), place_at(tmp_path))
