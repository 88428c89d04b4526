"""Files that are either whole or not there, whatever kills the writer.

Every file that matters is written under a temporary name in its own folder, flushed to the disk
(fsync), and renamed; the folder is flushed too, or a power cut could forget the rename.  What the
operating system refuses comes back as an error of `infra.errors` that says what to do.
"""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from infra.errors import DiskFullError, NotWritableError, StorageError

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"

CHUNK_BYTES = 1 << 20
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR})
_NO_HARD_LINK = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}
)


def storage_error(error: OSError, path: Path, doing: str) -> StorageError:
    """Return the error of ours for ``error``, met while ``doing`` something at ``path``."""
    reason = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return DiskFullError(
            f"No room while {doing} {path}: {reason}. Free space there, raise the quota or "
            "file-size limit, or choose a folder on another disk; what was finished before is kept."
        )
    if error.errno in _NOT_ALLOWED:
        return NotWritableError(
            f"Not allowed while {doing} {path}: {reason}. Choose a folder that this user may write "
            "to, on a file system that is not read-only, below which no part of the path is a file."
        )
    return StorageError(f"Failed while {doing} {path}: {reason} (errno {error.errno}).")


@contextlib.contextmanager
def explaining(path: Path, doing: str) -> Iterator[None]:
    """Turn an `OSError` raised inside into a `StorageError` about ``path``.

    Args:
        path: What the reader of the message should look at.
        doing: A participle, as in "writing".

    Raises:
        DiskFullError: No space, no quota, or a file-size limit.
        NotWritableError: No permission, read-only, or a file where a folder should be.
        StorageError: Anything else that the operating system refused.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(error, path, doing) from error


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on leaving it is flushed and takes that name.

    An exception inside, an interrupt too, removes the temporary file and leaves ``path`` as it was.

    Raises:
        StorageError: As `explaining` says.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with explaining(path, "writing"):
        try:
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, all of it or nothing.  Missing parent folders are made.

    Raises:
        StorageError: As `explaining` says.
    """
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_private(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` as `write_atomically` does, for nobody but this user to read.

    Raises:
        StorageError: As `explaining` says.
    """
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)


def make_folder(folder: Path) -> None:
    """Make ``folder`` and its parents where they are missing.

    Raises:
        StorageError: As `explaining` says.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # mkdir's word for "a file has that name"
        raise storage_error(
            NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)), folder, "making"
        ) from error
    except OSError as error:
        raise storage_error(error, folder, "making") from error


def sync(path: Path) -> None:
    """Flush a file's bytes, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Make ``target`` a hard link to ``source``, or a copy where links cannot reach."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        shutil.copyfile(source, target)
        sync(target)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, reading it in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Json) -> bytes:
    """Return the one JSON text of ``value``: sorted keys, no spaces, UTF-8.

    Raises:
        ValueError: A number is NaN or infinite, which JSON cannot say.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()
