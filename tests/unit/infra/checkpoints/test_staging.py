"""Folders appear together and whole, or not at all."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.checkpoints.staging import require_absent, staging
from infra.errors import DiskFullError, NotWritableError, OutputExistsError, StorageError


def _fill(out_dir: Path, *, error: BaseException | None = None, needed: int = 0) -> None:
    with staging(out_dir, ("a", "b"), needed_bytes=needed) as stage:
        for name in ("a", "b"):
            (stage / name / "deep").mkdir(parents=True)
            (stage / name / "deep" / "file").write_bytes(b"whole")
        if error:
            raise error


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_both_folders_appear(tmp_path: Path) -> None:
    """Missing parents are made, and the hidden folder is gone at the end."""
    out_dir = tmp_path / "x" / "y"

    _fill(out_dir)

    assert _names(out_dir) == ["a", "b"]
    assert (out_dir / "b" / "deep" / "file").read_bytes() == b"whole"


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), SystemExit(1)])
def test_an_interrupt_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    """An error or Ctrl-C takes away what was written, and the folders made for it."""
    with pytest.raises(type(error)):
        _fill(tmp_path / "x" / "y", error=error)

    assert _names(tmp_path) == []


def test_an_interrupt_leaves_what_was_there(tmp_path: Path) -> None:
    """Folders and files that were there before stay."""
    (tmp_path / "mine").write_bytes(b"kept")

    with pytest.raises(RuntimeError):
        _fill(tmp_path, error=RuntimeError("x"))

    assert _names(tmp_path) == ["mine"]


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_a_folder_that_exists_is_refused(tmp_path: Path, kind: str) -> None:
    """Anything of that name stops the export before it begins, and is left alone."""
    if kind == "folder":
        (tmp_path / "b").mkdir()
    elif kind == "file":
        (tmp_path / "b").write_bytes(b"")
    else:
        (tmp_path / "b").symlink_to(tmp_path / "nowhere")

    with pytest.raises(OutputExistsError, match="exists already"):
        require_absent(tmp_path, ("a", "b"))
    with pytest.raises(OutputExistsError, match=str(tmp_path / "b")):
        _fill(tmp_path)

    assert _names(tmp_path) == ["b"]


def _fill_while_another_makes_b(out_dir: Path) -> None:
    with staging(out_dir, ("a", "b"), needed_bytes=0) as stage:
        (stage / "a").mkdir()
        (stage / "b").mkdir()
        (out_dir / "b").mkdir()


def test_a_folder_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """What another program made during the work stays, and nothing of ours is left beside it."""
    with pytest.raises(OutputExistsError):
        _fill_while_another_makes_b(tmp_path)

    assert _names(tmp_path) == ["b"]


def _fill_without_b(out_dir: Path) -> None:
    with staging(out_dir, ("a", "b"), needed_bytes=0) as stage:
        (stage / "a").mkdir()


def test_all_folders_move_or_none(tmp_path: Path) -> None:
    """When the second cannot be moved the first goes back."""
    with pytest.raises(StorageError, match="No such file"):
        _fill_without_b(tmp_path)

    assert _names(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from infra.checkpoints.staging import staging

with staging(Path(sys.argv[1]), ("a", "b"), needed_bytes=0) as stage:
    (stage / "a").mkdir()
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    print("ready", flush=True)
    sys.stdin.readline()
    (stage / "b").mkdir()
"""


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """SIGKILL leaves a hidden folder at worst, and no checkpoint under its name."""
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "kill"], check=False)
    left = _names(tmp_path)

    _fill(tmp_path)

    assert killed.returncode == -signal.SIGKILL
    assert [name.startswith(".staging-") for name in left] == [True]
    assert _names(tmp_path) == ["a", "b"]


def test_two_exports_into_one_folder_do_not_meet(tmp_path: Path) -> None:
    """The second is refused while the first is at work, and does the first no harm."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), "wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "ready\n"

        with pytest.raises(OutputExistsError, match="Another process"):
            _fill(tmp_path)
        first.communicate("go\n")

    assert _names(tmp_path) == ["a", "b"]


def test_a_disk_without_room_is_refused_before_writing(tmp_path: Path) -> None:
    """What will not fit is not begun: the sizes needed and free are said."""
    with pytest.raises(DiskFullError, match=r"need 1000000000\.00 GB .* GB free"):
        _fill(tmp_path / "x", needed=10**18)

    assert _names(tmp_path) == []


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A path below a file is named, for root as for anyone."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(NotWritableError, match="file/out"):
        _fill(tmp_path / "file" / "out")
