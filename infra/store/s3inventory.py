"""What a store in a bucket keeps, and what this machine has copied of it."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.files import explaining, make_folder, sha256_of
from infra.s3.address import SCHEME
from infra.store.bucket import Bucket, Upload
from infra.store.folderinventory import old_files
from infra.store.inventory import Kept, Leftover, Paper
from infra.store.manifests import MANIFESTS, OBJECTS, object_key
from infra.store.transfer import download

_AT_ONCE = 8  # manifests read


class BucketInventory:
    """Every method raises what `S3.ask` says, or `StorageError` about this machine's copies."""

    def __init__(self, bucket: Bucket, cache: Path) -> None:
        self.bucket = bucket
        self.cache = cache

    def objects(self) -> Iterator[Kept]:
        """Yield every object that a listing tells of."""
        for entry in self.bucket.entries(OBJECTS):
            yield Kept(entry.key.rpartition("/")[2], entry.size, entry.age)

    def manifests(self) -> Iterator[Paper]:
        """Yield every manifest."""
        keys = [entry.key for entry in self.bucket.entries(MANIFESTS)]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for key, held in zip(keys, threads.map(self.bucket.read, keys), strict=True):
                if held is not None:
                    yield Paper(self.bucket.at(key).uri, held.data)

    def look(self, digest: str) -> Kept | None:
        """Return an object as it is now."""
        entry = self.bucket.look(object_key(digest))
        return None if entry is None else Kept(digest, entry.size, entry.age)

    def read(self, digest: str) -> str | None:
        """Return the SHA-256 of an object's bytes, which are read from the service."""
        make_folder(self.cache)
        with tempfile.TemporaryDirectory(dir=self.cache, prefix="check-") as scratch:
            path = Path(scratch) / digest
            if not download(self.bucket, object_key(digest), path):
                return None
            with explaining(path, "reading"):
                return sha256_of(path)

    def where(self, digest: str) -> str:
        """Return an object's address."""
        return self.bucket.at(object_key(digest)).uri

    def remove(self, digest: str) -> None:
        """Remove an object."""
        self.bucket.delete(object_key(digest))

    def leftovers(self, age: float) -> Iterator[Leftover]:
        """Yield uploads that nobody completed, objects of probes, and copies nobody has used."""
        for upload in self.bucket.uploads():
            if upload.age > age:
                yield Leftover(f"{self.bucket.at(upload.key).uri}?uploadId={upload.id}", 0)
        for entry in self.bucket.entries("probe"):
            if entry.age > age:
                yield Leftover(self.bucket.at(entry.key).uri, entry.size)
        yield from old_files(self.cache, age)

    def discard(self, leftover: Leftover) -> None:
        """Remove it."""
        if not leftover.place.startswith(SCHEME):
            with explaining(Path(leftover.place), "removing"):
                Path(leftover.place).unlink(missing_ok=True)
            return
        uri, _, upload = leftover.place.partition("?uploadId=")
        key = uri.removeprefix(self.bucket.at("").uri).lstrip("/")
        if upload:
            self.bucket.abort(Upload(key, upload, 0))
        else:
            self.bucket.delete(key)
