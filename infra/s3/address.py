"""Where things are on S3, without a word said to it."""

import os
from collections.abc import Mapping
from typing import Literal, NamedTuple

from infra.errors import BucketError

SCHEME = "s3://"


class Service(NamedTuple):
    """Which S3 service, and how it is spoken to."""

    endpoint: str | None = None  # None: AWS_ENDPOINT_URL, or Amazon's own
    region: str | None = None
    checksums: Literal["when_supported", "when_required"] = "when_supported"

    def address(self, environment: Mapping[str, str] = os.environ) -> str:
        """Return where it is, for messages."""
        named = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
        return self.endpoint or named or "Amazon S3"


class Object(NamedTuple):
    """Where an object is."""

    bucket: str
    key: str  # empty for the bucket itself

    @property
    def uri(self) -> str:
        """Its address."""
        return f"{SCHEME}{self.bucket}/{self.key}".rstrip("/")


class Seen(NamedTuple):
    """What a service says about an object.  An ETag tells versions apart; it is no digest."""

    size: int
    etag: str


def quoted(etag: str) -> str:
    """Return an ETag as requests and answers have it; some services list it without quotes."""
    return etag if etag.startswith(('"', "W/")) else f'"{etag}"'


def split(uri: str) -> Object:
    """Return bucket and key of ``s3://bucket/key``.

    Raises:
        BucketError: It is no such address.
    """
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket:
        raise BucketError(
            f"{uri!r} is no address of a bucket. Write it as s3://bucket or s3://bucket/prefix."
        )
    return Object(bucket, key.strip("/"))
