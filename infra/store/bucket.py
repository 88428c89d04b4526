"""Objects of a store below its prefix in a bucket: read, made once, swapped, written, listed."""

import hashlib
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from fsspec import asyn

from infra.errors import ObjectConditionError
from infra.s3.address import Object
from infra.s3.client import S3


class Held(NamedTuple):
    """What an object holds, and which version of it that is."""

    data: bytes
    version: str  # an ETag: it tells versions apart, and is no digest


class Entry(NamedTuple):
    """An object as a listing or a look at it tells of it."""

    key: str  # below the prefix
    size: int
    age: float  # seconds, by the service's own clock


class Upload(NamedTuple):
    """An upload in parts that nobody has completed."""

    key: str  # below the prefix
    id: str
    age: float  # seconds


class Bucket:
    """The objects below one prefix.  Every call waits for a service that is away, as `S3` does.

    Every method raises what `S3.ask` says.
    """

    def __init__(self, s3: S3, root: Object) -> None:
        """Take a client and where the prefix is."""
        self.s3 = s3
        self.root = root

    def at(self, key: str) -> Object:
        """Return where ``key`` is in the bucket."""
        return Object(self.root.bucket, f"{self.root.key}/{key}".lstrip("/"))

    def read(self, key: str) -> Held | None:
        """Return an object; None: there is none."""
        try:
            return self._read(self.at(key), {})
        except FileNotFoundError:
            return None

    def read_part(self, key: str, version: str, start: int, length: int) -> bytes:
        """Return a stretch of one version of an object.

        Raises:
            FileNotFoundError: There is no such object.
            ObjectConditionError: It is another version by now.
        """
        stretch = {"Range": f"bytes={start}-{start + length - 1}", "IfMatch": version}
        return self._read(self.at(key), stretch).data

    def look(self, key: str) -> Entry | None:
        """Return size and age of an object; None: there is none."""
        try:
            answer = self.s3.call("head_object", self.at(key), "looking at")
        except FileNotFoundError:
            return None
        return Entry(key, answer["ContentLength"], _age(answer["LastModified"], _now(answer)))

    def create(self, key: str, data: bytes) -> str | None:
        """Write an object that is not there yet; return its version, None if there is one."""
        return self._write_if(key, data, {"IfNoneMatch": "*"})

    def swap(self, key: str, data: bytes, version: str) -> str | None:
        """Write an object in place of a version; return the new one, None if it is another."""
        return self._write_if(key, data, {"IfMatch": version})

    def write(self, key: str, data: bytes) -> str:
        """Write an object, whatever is there, and return its version."""
        sums = {"ChecksumSHA256": checksum(hashlib.sha256(data).digest())} if self.sums else {}
        answer = self.s3.call("put_object", self.at(key), "writing", {"Body": data, **sums})
        return str(answer["ETag"])

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        self.s3.call("delete_object", self.at(key), "deleting")

    def entries(self, below: str) -> Iterator[Entry]:
        """Yield what a listing tells is below a key.  It may be late: look before you believe."""
        prefix = self.at(below).key + "/"
        asked: dict[str, Any] = {"Prefix": prefix}
        while True:
            answer = self._listing("list_objects_v2", asked)
            now = _now(answer)
            for found in answer.get("Contents", ()):
                yield Entry(
                    self._below(found["Key"]), found["Size"], _age(found["LastModified"], now)
                )
            if not answer.get("IsTruncated"):
                return
            asked["ContinuationToken"] = answer["NextContinuationToken"]

    def uploads(self) -> Iterator[Upload]:
        """Yield the uploads in parts that nobody has completed: of killed writers, and in work."""
        asked: dict[str, Any] = {"Prefix": self.at("cas").key + "/"}
        while True:
            answer = self._listing("list_multipart_uploads", asked)
            now = _now(answer)
            for found in answer.get("Uploads", ()):
                key = self._below(found["Key"])
                yield Upload(key, found["UploadId"], _age(found["Initiated"], now))
            if not answer.get("IsTruncated"):
                return
            asked["KeyMarker"] = answer["NextKeyMarker"]
            asked["UploadIdMarker"] = answer["NextUploadIdMarker"]

    def abort(self, upload: Upload) -> None:
        """Drop the parts of an upload."""
        try:
            self.s3.call(
                "abort_multipart_upload", self.at(upload.key), "dropping", {"UploadId": upload.id}
            )
        except FileNotFoundError:
            return  # it was completed or dropped meanwhile

    def _read(self, place: Object, asked: Mapping[str, str]) -> Held:
        def work(files: Any) -> Held:
            held: Held = asyn.sync(files.loop, _read, files, place, asked)
            return held

        return self.s3.ask(place.uri, "reading", work)

    @property
    def sums(self) -> bool:
        """Whether the service checks what it is sent against a SHA-256."""
        return self.s3.service.checksums == "when_supported"

    def _write_if(self, key: str, data: bytes, condition: Mapping[str, str]) -> str | None:
        """Write under a condition.

        A first try whose answer was lost makes the second one fail by its own success; so an object
        that holds just these bytes counts as written.  Where two writers might write the same
        bytes, they must not care which of them did.
        """
        try:
            asked = {"Body": data, **condition}
            answer = self.s3.call("put_object", self.at(key), "writing", asked)
        except (ObjectConditionError, FileNotFoundError):
            held = self.read(key)
            return held.version if held is not None and held.data == data else None
        return str(answer["ETag"])

    def _listing(self, operation: str, asked: Mapping[str, Any]) -> Any:
        return self.s3.call(operation, Object(self.root.bucket, ""), "listing", dict(asked))

    def _below(self, key: str) -> str:
        return key.removeprefix(f"{self.root.key}/" if self.root.key else "")


def checksum(digest: bytes) -> str:
    """Return a digest as Amazon's headers have it."""
    return b64encode(digest).decode("ascii")


async def _read(files: Any, place: Object, asked: Mapping[str, str]) -> Held:
    """Ask and read in one go: the body belongs to the loop of s3fs, which is another thread's."""
    ask = files._call_s3  # noqa: SLF001 -- the only name that s3fs has for it
    answer = await ask("get_object", Bucket=place.bucket, Key=place.key, **asked)
    async with answer["Body"] as body:
        return Held(await body.read(), answer["ETag"])


def _now(answer: Mapping[str, Any]) -> datetime:
    """Return the time at which the service answered, by its own clock if it tells."""
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(told) if told else datetime.fromtimestamp(time.time(), UTC)


def _age(written: datetime, now: datetime) -> float:
    return (now - written).total_seconds()
