"""Registers in a bucket: conditional writes, which the probe has seen the service keep to."""

from infra.store.bucket import Bucket
from infra.store.manifests import LEASES
from infra.store.registers import Content


class BucketRegisters:
    """Registers below a store's prefix.  Every method raises what `S3.ask` says."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def read(self, name: str) -> Content | None:
        """Return what a register holds."""
        held = self.bucket.read(_key(name))
        return None if held is None else Content(held.data, held.version)

    def create(self, name: str, data: bytes) -> str | None:
        """Write a register that was never written."""
        return self.bucket.create(_key(name), data)

    def swap(self, name: str, data: bytes, version: str) -> str | None:
        """Write a register that holds ``version``."""
        return self.bucket.swap(_key(name), data, version)


def _key(name: str) -> str:
    return f"{LEASES}/{name}.json"
