"""Large files on their way in: one file, written at the place of each part, judged as a whole.

    root/tmp/uploads/<id>/data          the bytes so far; parts are written where they belong
    root/tmp/uploads/<id>/<n>.etag      part n is complete, and this is its MD5

Parts may come in any order, twice, or cut short.  What counts is the SHA-256 of the whole, so a
part that was garbled on its way is found at the end at the latest.
"""

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from infra.files import CHUNK_BYTES, explaining, make_folder, write_atomically
from infra.local_hub.largefiles import Pointer, adopt
from infra.local_hub.refusals import Refusal

WHOLE = 1  # the number of the only part of an upload that comes in one piece


def parts_of(pointer: Pointer, part_bytes: int) -> int:
    """Return how many parts a large file comes in."""
    return max(1, -(-pointer.size // part_bytes))


def folder_of(root: Path, upload: str) -> Path:
    """Return where an upload is collected."""
    return root / "tmp" / "uploads" / upload


async def receive(
    folder: Path, pointer: Pointer, number: int, part_bytes: int, stream: AsyncIterator[bytes]
) -> str:
    """Write part ``number`` of a large file, and return its ETag.

    Raises:
        Refusal: The part has another length than it must.
        StorageError: There is no room, or it cannot be written.
    """
    start = (number - 1) * part_bytes
    wanted = min(part_bytes, pointer.size - start)
    done = folder / f"{number}.etag"
    digest, came = hashlib.md5(usedforsecurity=False), 0
    descriptor = await asyncio.to_thread(_open, folder, done)
    try:
        async for piece in _pieces(stream):
            came += len(piece)
            if came > wanted:
                break
            digest.update(piece)
            await asyncio.to_thread(_write_at, descriptor, piece, start + came - len(piece), folder)
    finally:
        os.close(descriptor)
    if came != wanted:
        raise Refusal(400, f"Part {number} must have {wanted} bytes.")
    await asyncio.to_thread(write_atomically, done, digest.hexdigest().encode())
    return digest.hexdigest()


def complete(
    folder: Path, repository: Path, pointer: Pointer, parts: int, etags: Mapping[int, str]
) -> None:
    """Put a large file together and into its repository.

    Raises:
        Refusal: A part is missing, was sent again meanwhile, or the whole is not what was announced.
        StorageError: It cannot be moved.
    """
    if len(etags) != parts:
        raise Refusal(400, f"{parts} parts were asked for, {len(etags)} are named.")
    for number in range(1, parts + 1):
        path = folder / f"{number}.etag"
        arrived = path.read_text() if path.is_file() else None
        if arrived is None or arrived != etags.get(number, "").strip('"'):
            raise Refusal(400, f"InvalidPart: part {number} has not arrived as it is named.")
    try:
        adopt(repository, pointer, folder / "data")
    finally:
        discard(folder)


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


def _open(folder: Path, done: Path) -> int:
    make_folder(folder)
    with explaining(folder, "writing below"):
        done.unlink(missing_ok=True)
        return os.open(folder / "data", os.O_WRONLY | os.O_CREAT, 0o600)


def _write_at(descriptor: int, piece: bytes, offset: int, folder: Path) -> None:
    with explaining(folder / "data", "writing"):
        view = memoryview(piece)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written
