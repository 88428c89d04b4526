"""One release of a tag at a time, wherever it is started on this store.

The lock is the operating system's: whoever holds it may be killed, and then nobody does.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from infra.errors import ReleaseUnderWayError
from infra.files import explaining, make_folder
from infra.triggers.key import TagKey


@contextlib.contextmanager
def claimed(folder: Path, key: TagKey) -> Iterator[None]:
    """Hold the right to release ``key`` while the block runs.

    Args:
        folder: Where the locks are, shared by all who may release.
        key: What is released.

    Raises:
        ReleaseUnderWayError: Another process holds it.
        StorageError: The folder cannot be written.
    """
    make_folder(folder)
    path = folder / f"{hashlib.sha256(key.model_dump_json().encode()).hexdigest()}.lock"
    with explaining(path, "locking"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ReleaseUnderWayError(
                f"{key.words} is being released by another process of this machine. Wait for it "
                "to end; if it fails, the same command goes on from what it has finished."
            ) from error
        yield
    finally:
        os.close(descriptor)
