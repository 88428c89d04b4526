"""A store in a bucket, opened: the service is asked once whether it is fit, and then trusted."""

import functools
import logging
import os
from pathlib import Path
from typing import NamedTuple

from infra.errors import StoreUnreachableError
from infra.s3.address import Service, split
from infra.s3.client import FIRST_PATIENCE, PATIENCE, S3
from infra.store.bucket import Bucket
from infra.store.place import StoreAddress
from infra.store.probe import probe
from infra.store.s3 import S3Store

_LOG = logging.getLogger(__name__)
_ACCOUNT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_ACCESS_KEY_ID")


class _Asker(NamedTuple):
    """Who asks: a process and its account.  A client cannot be carried into a forked process."""

    process: int
    account: tuple[str | None, ...]


def open_bucket(address: StoreAddress, cache: Path) -> S3Store:
    """Open a store in a bucket.

    Args:
        address: Where it is.
        cache: Folder of this machine for copies of objects.

    Raises:
        BucketError: The bucket cannot be used; its subclasses say why.
        StoreUnfitError: Its service does not keep what conditional writes promise.
    """
    return S3Store(_fit(address.uri or "", address.service, _asker()), cache)


def require_fit(address: StoreAddress) -> None:
    """Ask a bucket now whether a store can be kept in it; a service that is away is not waited for.

    Raises:
        BucketError: The bucket cannot be used; its subclasses say why.
        StoreUnfitError: Its service does not keep what conditional writes promise.
    """
    client = _client(address.service, FIRST_PATIENCE, _asker())
    probe(Bucket(client, split(address.uri or "")))


@functools.lru_cache(maxsize=8)
def _fit(uri: str, service: Service, asker: _Asker) -> Bucket:
    """Return a bucket that a store can be kept in; a process asks once.

    A service that is away may only be starting anew, so it is waited for; but whoever has written
    a wrong address should read of it soon.
    """
    root = split(uri)
    bucket = Bucket(_client(service, PATIENCE, asker), root)
    try:
        probe(Bucket(_client(service, FIRST_PATIENCE, asker), root))
    except StoreUnreachableError as error:
        _LOG.warning("%s Trying for %g s more.", error, PATIENCE)
        probe(bucket)
    return bucket


def _asker() -> _Asker:
    return _Asker(os.getpid(), tuple(map(os.environ.get, _ACCOUNT)))


@functools.lru_cache(maxsize=16)
def _client(service: Service, patience: float, _asker: _Asker) -> S3:
    return S3(service, patience=patience)
