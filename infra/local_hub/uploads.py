"""Large files on their way in: parts written where they belong, judged as a whole.

    root/tmp/uploads/<id>/data          the bytes so far; each part at its own place
    root/tmp/uploads/<id>/<n>.etag      part n is complete, and this is its MD5
    root/tmp/uploads/<id>/lock          shared by who writes, held alone by who completes
    root/tmp/uploads/<id>/whole-*       a file that comes in one piece, one for each try

Parts may come in any order, twice, or cut short.  What counts is the SHA-256 of the whole, so a
part that was garbled on its way is found at the end at the latest.  Nobody may write to a file once
it has been judged: hence the lock, and hence a name of its own for each try.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from infra.errors import DiskFullError
from infra.files import CHUNK_BYTES, explaining, make_folder, write_atomically
from infra.local_hub.largefiles import Pointer, adopt
from infra.local_hub.refusals import Refusal

PATIENCE_SECONDS = 20.0
"""How long a completion waits for parts that are still being written."""
POLL_SECONDS = 0.1


def parts_of(pointer: Pointer, part_bytes: int) -> int:
    """Return how many parts a large file comes in."""
    return max(1, -(-pointer.size // part_bytes))


def folder_of(root: Path, upload: str) -> Path:
    """Return where an upload is collected."""
    return root / "tmp" / "uploads" / upload


async def receive_whole(
    folder: Path, repository: Path, pointer: Pointer, stream: AsyncIterator[bytes]
) -> str:
    """Take a large file in one piece into its repository, and return its ETag.

    Raises:
        Refusal: It is not what was announced.
        StorageError: There is no room, or it cannot be written.
    """
    await asyncio.to_thread(make_folder, folder)
    path = folder / f"whole-{secrets.token_hex(8)}"
    try:
        with _opened(path) as descriptor:
            etag = await _write(descriptor, path, 0, pointer.size, stream)
        await asyncio.to_thread(adopt, repository, pointer, path)
    finally:
        _forget_try(path)
    return etag


async def receive_part(
    folder: Path, pointer: Pointer, number: int, part_bytes: int, stream: AsyncIterator[bytes]
) -> str:
    """Write part ``number`` of a large file where it belongs, and return its ETag.

    Raises:
        Refusal: The part has another length than it must, or the upload is being completed.
        StorageError: There is no room, or it cannot be written.
    """
    start = (number - 1) * part_bytes
    length, done = min(part_bytes, pointer.size - start), folder / f"{number}.etag"
    await asyncio.to_thread(make_folder, folder)
    try:
        with _shared(folder), _opened(folder / "data") as descriptor:
            done.unlink(missing_ok=True)
            etag = await _write(descriptor, folder / "data", start, length, stream)
            await asyncio.to_thread(write_atomically, done, etag.encode())
    except DiskFullError:
        discard(folder)  # its other parts take room that others need
        raise
    return etag


def complete(
    folder: Path, repository: Path, pointer: Pointer, parts: int, etags: Mapping[int, str]
) -> None:
    """Judge a large file that has come in parts, and put it into its repository.

    Raises:
        Refusal: A part is missing, was sent again meanwhile or still is, or the whole is not what
            was announced.
        StorageError: It cannot be moved.
    """
    if len(etags) != parts or not folder.is_dir():
        raise Refusal(400, f"{parts} parts were asked for, {len(etags)} are named and here.")
    with _alone(folder):
        for number in range(1, parts + 1):
            path = folder / f"{number}.etag"
            arrived = path.read_text() if path.is_file() else None
            if arrived is None or arrived != etags.get(number, "").strip('"'):
                raise Refusal(400, f"InvalidPart: part {number} has not arrived as it is named.")
        try:
            adopt(repository, pointer, folder / "data")
        finally:
            discard(folder)


def _forget_try(path: Path) -> None:
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # another try is in there
        path.parent.rmdir()


def discard(folder: Path) -> None:
    """Forget an upload; its room is free again."""
    shutil.rmtree(folder, ignore_errors=True)


def sweep(root: Path, older_than: float) -> None:
    """Remove uploads that nobody has written to for ``older_than`` seconds."""
    uploads = root / "tmp" / "uploads"
    for folder in uploads.iterdir() if uploads.is_dir() else ():
        try:
            last = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
        except FileNotFoundError:
            continue  # it has just been finished
        if last < time.time() - older_than:
            discard(folder)


async def _pieces(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what comes in pieces that are worth a call to another thread."""
    waiting = bytearray()
    async for piece in stream:
        waiting += piece
        if len(waiting) >= CHUNK_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


async def _write(
    descriptor: int, path: Path, start: int, length: int, stream: AsyncIterator[bytes]
) -> str:
    """Write exactly ``length`` bytes from ``start`` on, and return their MD5."""
    digest, came = hashlib.md5(usedforsecurity=False), 0
    async for piece in _pieces(stream):
        if came + len(piece) > length:
            raise Refusal(400, f"More than the {length} bytes that were announced came.")
        await asyncio.to_thread(_write_at, descriptor, piece, start + came, path)
        digest.update(piece)
        came += len(piece)
    if came < length:
        raise Refusal(400, f"{came} bytes came of the {length} that were announced.")
    return digest.hexdigest()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    with explaining(path, "writing"):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _shared(folder: Path) -> Iterator[None]:
    """Be one of those who write parts."""
    with _opened(folder / "lock") as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal(409, "This upload is being completed.") from None
        yield


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only one who has anything to do with an upload."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with _opened(folder / "lock") as descriptor:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Refusal(503, "Parts of this upload are still on their way.") from None
                time.sleep(POLL_SECONDS)
        yield


def _write_at(descriptor: int, piece: bytes, offset: int, path: Path) -> None:
    with explaining(path, "writing"):
        view = memoryview(piece)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written
