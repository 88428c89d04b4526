"""Large objects of a bucket, to and from files: in pieces, each tried again by itself."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from infra.errors import BucketError, ObjectConditionError, StorageError, StoreUnreachableError
from infra.files import explaining
from infra.s3.address import Object, Seen
from infra.store.bucket import Bucket, checksum

PIECE_BYTES = 16 << 20
_MOST_PARTS = 10_000  # of one object, by the protocol
_AT_ONCE = 4  # pieces in memory


class _Piece(NamedTuple):
    """A stretch of a file, counted from one."""

    number: int
    start: int
    length: int


class _Upload(NamedTuple):
    """An upload in parts that is under way."""

    bucket: Bucket
    place: Object
    id: str
    path: Path


def download(bucket: Bucket, key: str, path: Path) -> bool:
    """Write an object to ``path``, and say whether there is one.

    Raises:
        StorageError: The file cannot be written.
        ObjectConditionError: It was replaced meanwhile, and again in a second try.
        BucketError: As `S3.ask` says.
    """
    for last in (False, True):
        seen = bucket.s3.look(bucket.at(key))
        if seen is None:
            return False
        try:
            _fill(bucket, key, seen, path)
        except FileNotFoundError:
            return False
        except ObjectConditionError:
            if last:
                raise
        else:
            return True
    return False


def upload(bucket: Bucket, key: str, path: Path) -> None:
    """Write a large file to an object, which appears when all of it is there.

    Raises:
        StorageError: The file cannot be read, or was written to meanwhile.
        BucketError: As `S3.ask` says.
    """
    place, before = bucket.at(key), _version(path)
    kind = {"ChecksumAlgorithm": "SHA256"} if bucket.sums else {}
    started = bucket.s3.call("create_multipart_upload", place, "writing", kind)["UploadId"]
    work = _Upload(bucket, place, started, path)
    try:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            parts = list(threads.map(lambda piece: _send(work, piece), _pieces(before[0])))
        _require_unchanged(path, before)
        _complete(work, parts)
    except StoreUnreachableError:
        raise  # nor would it hear that the parts should be dropped
    except Exception:
        bucket.s3.call("abort_multipart_upload", place, "dropping", {"UploadId": started})
        raise


def _send(work: _Upload, piece: _Piece) -> dict[str, Any]:
    """Write one part, and return what completes the upload."""
    with explaining(work.path, "reading"), work.path.open("rb") as file:
        file.seek(piece.start)
        data = file.read(piece.length)
    sums = {"ChecksumSHA256": checksum(hashlib.sha256(data).digest())} if work.bucket.sums else {}
    asked = {"UploadId": work.id, "PartNumber": piece.number, "Body": data, **sums}
    answer = work.bucket.s3.call("upload_part", work.place, "writing", asked)
    return {"PartNumber": piece.number, "ETag": answer["ETag"], **sums}


def _complete(work: _Upload, parts: list[dict[str, Any]]) -> None:
    """Let the object appear.  A second try may find that the first one, unheard, has done it."""
    asked = {"UploadId": work.id, "MultipartUpload": {"Parts": parts}}
    try:
        work.bucket.s3.call("complete_multipart_upload", work.place, "completing", asked)
    except FileNotFoundError:
        if work.bucket.s3.look(work.place) is None:
            raise


def _fill(bucket: Bucket, key: str, seen: Seen, path: Path) -> None:
    """Write a version of an object to a file, several pieces at once."""

    def fetch(piece: _Piece) -> None:
        data = bucket.read_part(key, seen.etag, piece.start, piece.length)
        if len(data) != piece.length:
            raise BucketError(
                f"{bucket.s3.service.address()} gave {len(data)} bytes of {bucket.at(key).uri} "
                f"where {piece.length} from byte {piece.start} were asked for: it does not serve "
                "ranges as S3 does, so no store can be kept there."
            )
        with explaining(path, "writing"):
            _write(descriptor, memoryview(data), piece.start)

    with explaining(path, "writing"):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(fetch, _pieces(seen.size)))
        with explaining(path, "writing"):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: memoryview, start: int) -> None:
    """Write all of it: where little room is left the system first takes a part, without error."""
    while data:
        taken = os.pwrite(descriptor, data, start)
        data, start = data[taken:], start + taken


def _pieces(size: int) -> Iterator[_Piece]:
    length = max(PIECE_BYTES, -(-size // _MOST_PARTS))
    for number, start in enumerate(range(0, size, length), start=1):
        yield _Piece(number, start, min(length, size - start))


def _require_unchanged(path: Path, before: tuple[int, int]) -> None:
    if _version(path) != before:
        raise StorageError(f"{path} was written to while it was stored. Store it again.")


def _version(path: Path) -> tuple[int, int]:
    """Return size and time of a file."""
    with explaining(path, "reading"):
        told = path.stat()
    return told.st_size, told.st_mtime_ns
