"""Whether a bucket keeps what conditional writes promise: asked before anything is built on it.

Some services that speak S3 ignore the conditions and write; on these a lease would have any number
of holders, and a manifest the last writer instead of the first.
"""

import secrets

from infra.errors import StoreUnfitError
from infra.store.bucket import Bucket


def probe(bucket: Bucket) -> None:
    """Refuse a bucket that cannot hold a store.  Some small requests; what they write is deleted.

    Raises:
        MissingBucketError: There is no such bucket.
        BucketAccessError: The credentials do not suffice.
        StoreUnreachableError: The service does not answer.
        StoreUnfitError: It ignores conditions, or does not give back what was written.
        BucketError: It refuses for another reason.
    """
    bucket.s3.require_bucket(bucket.root)
    key = f"probe/{secrets.token_hex(16)}"
    first = bucket.create(key, b"1")
    try:
        _conditions(bucket, key, first)
    finally:
        bucket.delete(key)


def _conditions(bucket: Bucket, key: str, first: str | None) -> None:
    if first is None or bucket.create(key, b"2") is not None:
        raise _unfit(bucket, "writes an object that must not be there yet (If-None-Match) twice")
    second = bucket.swap(key, b"3", first)
    if second is None or bucket.swap(key, b"4", first) is not None:
        raise _unfit(bucket, "writes over a version (If-Match) that is no longer there")
    held = bucket.read(key)
    if held is None or held.data != b"3":
        raise _unfit(bucket, "does not give back at once what was written last")


def _unfit(bucket: Bucket, fault: str) -> StoreUnfitError:
    return StoreUnfitError(
        f"{bucket.root.uri} at {bucket.s3.service.address()} cannot hold a store: the service "
        f"{fault}. Two machines would take the same work, and neither would know. Use a service "
        "that honours conditional writes, as Amazon's does, or a folder that the machines share."
    )
