"""An S3 service, asked with patience: one place for its client, its outages and its refusals.

The artifact store and models that are streamed both come through here.  A service that is restarted
costs a run some seconds and nothing else: what may pass by itself is tried again for `PATIENCE`.
Everything else is told at once, by an error that names the bucket, the service and the remedy.
Keys come from the environment or the files of the AWS tools, and appear in no message.

s3fs does the talking.  Three of its habits are undone: instances are not shared behind one's back,
listings are not kept, and its own short retries give way to those here.
"""

import copy
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Self, TypeVar

import s3fs
from aiohttp import ClientError as ConnectionCut
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.asyn import sync

from infra.s3.address import Object, Seen, Service, quoted
from infra.s3.refusals import Asked, another_version, explained, may_pass, missing

PATIENCE = 120.0
"""Seconds for which a service may be away before a run gives up."""
FIRST_PATIENCE = 10.0
"""Seconds for a first question: a wrong address should not be asked for long."""

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0  # seconds between two tries
_CONNECT_SECONDS, _READ_SECONDS = 10, 30  # without a byte

T = TypeVar("T")


class S3:
    """A client of one service.  Threads may share it; forked processes may not."""

    def __init__(self, service: Service, *, patience: float = PATIENCE) -> None:
        """Take an address; nothing is asked yet.

        Args:
            service: Which service.
            patience: Seconds for which it may be away.
        """
        self.service = service
        self.patience = patience
        self.files: Any = _filesystem(service)

    def waiting(self, patience: float) -> Self:
        """Return a client with another patience that shares this one's connections."""
        other = copy.copy(self)
        other.patience = patience
        return other

    def ask(self, uri: str, doing: str, work: Callable[[Any], T]) -> T:
        """Return what ``work`` returns, done again while the service is away or busy.

        Args:
            uri: What it is about, for messages.
            doing: A participle, as in "reading".
            work: Takes the s3fs file system.  It is called again from its beginning, so what it
                did before it failed must not count.

        Raises:
            OSError: Of this machine, as it is; FileNotFoundError also where there is no such
                object.  The bucket may be missing then: `require_bucket` tells for certain.
            ObjectConditionError: A condition of the request does not hold.
            MissingBucketError: There is no such bucket.
            BucketAccessError: No credentials, wrong ones, or such as may not do this.
            StoreUnreachableError: The service stayed away or busy for as long as is waited.
            BucketError: The service refuses for another reason.
        """
        end, wait = time.monotonic() + self.patience, _FIRST_WAIT
        while True:
            try:
                return work(self.files)
            except (OSError, BotoCoreError, ClientError, ConnectionCut) as error:
                if not may_pass(error) or time.monotonic() + wait > end:
                    ours = explained(error, Asked(self.service, uri, doing, self.patience))
                    if ours is None:
                        raise
                    raise ours from error
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)

    def call(
        self,
        operation: str,
        place: Object,
        doing: str,
        parameters: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:
        """Return the answer to one operation on an object or bucket; raises as `ask` does.

        Args:
            operation: Its name in botocore, as in "put_object".
            place: The object, or the bucket.
            doing: A participle, for messages.
            parameters: Whatever else the operation takes, named as Amazon does.
        """
        where = {"Bucket": place.bucket} | ({"Key": place.key} if place.key else {})
        return self.ask(
            place.uri, doing, lambda files: files.call_s3(operation, **where, **parameters)
        )

    def look(self, place: Object) -> Seen | None:
        """Return size and ETag of an object, None where there is none; raises as `ask` does."""
        try:
            answer = self.call("head_object", place, "looking at")
        except FileNotFoundError:
            return None
        return Seen(answer["ContentLength"], quoted(answer["ETag"]))

    def read(self, place: Object, start: int, length: int, etag: str) -> bytes:
        """Return bytes of an object, which must still be the version of this ETag.

        Raises:
            ObjectConditionError: It is another version by now.
            FileNotFoundError: It is gone.
            BucketError: As `ask` says.
        """
        return self.ask(
            place.uri, "reading", lambda files: _range(files, place, (start, length), etag)
        )

    def require_bucket(self, place: Object) -> None:
        """Refuse a bucket that is not there or may not be seen.

        Raises:
            MissingBucketError: There is no such bucket.
            BucketError: As `ask` says.
        """
        try:
            self.call("head_bucket", Object(place.bucket, ""), "looking for")
        except FileNotFoundError as error:
            raise missing(place.uri, self.service) from error


def _range(files: Any, place: Object, span: tuple[int, int], etag: str) -> bytes:
    start, length = span
    answer = files.call_s3(
        "get_object",
        Bucket=place.bucket,
        Key=place.key,
        Range=f"bytes={start}-{start + length - 1}",
        IfMatch=etag,
    )
    body = answer["Body"]
    try:
        if quoted(answer["ETag"]) != etag:  # a service that knows no conditions
            raise another_version(place.uri)
        data: bytes = sync(files.loop, body.read)
    finally:
        body.close()
    return data


def _filesystem(service: Service) -> Any:
    config = {
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "retries": {"mode": "standard", "total_max_attempts": 2},
        "request_checksum_calculation": service.checksums,
        "response_checksum_validation": service.checksums,
    }
    region = {"region_name": service.region} if service.region else {}
    files = s3fs.S3FileSystem(
        endpoint_url=service.endpoint,
        client_kwargs=region,
        config_kwargs=config,
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    files.retries = 1
    return files
