"""Scratch folders are gone with their work, or with the next one when it was killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import NotWritableError
from infra.scratch import scratch_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from infra.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_bytes(b"half of a file")
    print(folder, flush=True)
    os.kill(os.getpid(), int(sys.argv[2]))
"""


def test_a_folder_lives_as_long_as_its_work(tmp_path: Path) -> None:
    """It is there inside, with what is put into it, and gone behind, after an error too."""

    def fail() -> None:
        with scratch_folder(tmp_path) as folder:
            (folder / "file").write_bytes(b"content")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path: Path) -> None:
    """A kill -9 leaves a folder; whoever works there next removes it."""
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), "9"],
        capture_output=True,
        text=True,
        check=False,
    )
    left = Path(killed.stdout.strip())
    assert killed.returncode == -9
    assert (left / "half").is_file()

    with scratch_folder(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_in_use_is_never_swept(tmp_path: Path) -> None:
    """Two that work at the same time leave each other alone."""
    with scratch_folder(tmp_path) as first, scratch_folder(tmp_path) as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second])


def test_what_others_keep_there_is_left_alone(tmp_path: Path) -> None:
    """Only folders of this make are swept."""
    (tmp_path / "mine").mkdir()

    with scratch_folder(tmp_path):
        pass

    assert (tmp_path / "mine").is_dir()


def test_a_place_that_is_no_folder_is_said(tmp_path: Path) -> None:
    """A file where scratch should be is named."""
    (tmp_path / "scratch").write_bytes(b"")

    with (
        pytest.raises(NotWritableError, match=r"scratch"),
        scratch_folder(tmp_path / "scratch"),
    ):
        pass
