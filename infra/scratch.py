"""Scratch folders: gone when their work ends, and swept by the next when it was killed.

A folder is in use as long as its maker holds a lock on it, which ends with the process, however it
ends.  What is not locked is left over, however young it is, and a folder that a long run uses is
never taken away, however old.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from infra.files import explaining, make_folder

PREFIX = "work-"


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Make a folder below ``parent`` for the time of a piece of work, and sweep what others left.

    Raises:
        StorageError: It cannot be made.
    """
    make_folder(parent)
    _sweep(parent)
    folder, lock = _make(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make(parent: Path) -> tuple[Path, int]:
    """Return a new folder, and the lock on it.

    Between its making and its locking a folder looks left over, and a sweep may take it: then
    another is made.
    """
    while True:
        folder = parent / f"{PREFIX}{secrets.token_hex(8)}"
        with explaining(folder, "making"):
            folder.mkdir(mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            with contextlib.suppress(OSError):  # without locks here, nobody sweeps
                fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.is_dir():
                return folder, lock
            os.close(lock)


def _sweep(parent: Path) -> None:
    """Remove the folders of processes that are no more."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it is in use, or another has just swept it
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
