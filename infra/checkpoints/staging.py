"""New folders that appear whole or not at all.

Everything is written into a hidden folder beside its final place, flushed, and renamed at the end.
An error or an interrupt removes the hidden folder; what a killed process left is removed by the
next one, which knows it to be dead because it no longer holds the lock.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.errors import DiskFullError, OutputExistsError
from infra.files import explaining, make_folder, sync

_PREFIX = ".staging-"


def require_absent(out_dir: Path, names: Sequence[str]) -> None:
    """Require that none of the folders to be made is there.

    Call it before hours of work, not after; `staging` calls it again.

    Raises:
        OutputExistsError: One is.
    """
    for name in names:
        if os.path.lexists(out_dir / name):
            raise OutputExistsError(
                f"The output folder {out_dir / name} exists already, and nothing here overwrites a "
                "checkpoint. Give another output folder, or move this one away."
            )


@contextlib.contextmanager
def staging(out_dir: Path, names: Sequence[str], *, needed_bytes: int) -> Iterator[Path]:
    """Yield a hidden folder in which to make the folders ``names``; on leaving they move in place.

    Args:
        out_dir: Where the folders will be; it is made, with its parents, where it is missing.
        names: The folders, which the body must make.
        needed_bytes: What the body will write, about.

    Raises:
        OutputExistsError: A folder of ``names`` exists, or another process is writing here.
        DiskFullError: Less than ``needed_bytes`` are free, or the disk fills up.
        StorageError: The folders cannot be made.
    """
    require_absent(out_dir, names)
    made = [path for path in (out_dir, *out_dir.parents) if not path.exists()]
    try:
        make_folder(out_dir)
        with explaining(out_dir, "writing to"), _locked(out_dir):
            _remove_dead(out_dir)
            _require_room(out_dir, needed_bytes)
            yield from _stage(out_dir, names)
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):  # not empty: others have written there since
                path.rmdir()
        raise


def _stage(out_dir: Path, names: Sequence[str]) -> Iterator[Path]:
    stage = out_dir / f"{_PREFIX}{secrets.token_hex(4)}"
    try:
        stage.mkdir()
        yield stage
        require_absent(out_dir, names)
        _publish(stage, out_dir, names)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _publish(stage: Path, out_dir: Path, names: Sequence[str]) -> None:
    """Rename all folders into place, or none."""
    for folder, _, _ in os.walk(stage):
        sync(Path(folder))
    moved = []
    try:
        for name in names:
            (stage / name).rename(out_dir / name)
            moved.append(name)
        sync(out_dir)
    except BaseException:
        for name in moved:
            (out_dir / name).rename(stage / name)
        raise


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system lets go of when its holder dies."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputExistsError(
            f"Another process is writing checkpoints into {folder}. Wait for it to end, or give "
            "another output folder."
        ) from error


def _remove_dead(out_dir: Path) -> None:
    for path in out_dir.glob(f"{_PREFIX}*"):
        shutil.rmtree(path)


def _require_room(out_dir: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(out_dir).free
    if free < needed_bytes:
        raise DiskFullError(
            f"The checkpoints need {needed_bytes / 1e9:.2f} GB and {out_dir} has {free / 1e9:.2f} "
            "GB free. Free space there, or choose a folder on another disk; nothing was written."
        )
