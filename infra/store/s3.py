"""The artifact store in a bucket of an S3 service.

    prefix/cas/sha256/aa/<64 hex>     the objects
    prefix/manifests/<64 hex>.json    one manifest a fingerprint, written last, by one writer only
    prefix/leases/<64 hex>.json       who is at work on what (`infra.store.lease`)

Nothing is there by halves: an object appears when all of its bytes have arrived, and whoever finds
a manifest may rely on what it names.  Truth is what a direct look or a conditional write tells,
never a listing.  An ETag tells versions apart; only a SHA-256 tells content.

Objects that are read are kept on this machine, and their digest is checked at every opening: what
is damaged here is fetched again, what is damaged there is named and never used.  Storing content
again mends it.
"""

import contextlib
import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.errors import CorruptArtifactError, MissingArtifactError, StoreError
from infra.files import Json, explaining, make_folder, sha256_of
from infra.store.bucket import Bucket
from infra.store.inventory import Inventory
from infra.store.manifests import manifest_key, object_key, parsed
from infra.store.protocol import ArtifactRef, canonical, require_fingerprint
from infra.store.registers import Registers
from infra.store.s3inventory import BucketInventory
from infra.store.s3registers import BucketRegisters
from infra.store.transfer import PIECE_BYTES, download, upload

TRUSTED_SECONDS = 12 * 3600
"""For how long an object that is there already is taken as it is.  An older one is written again,
so that a collection of garbage, which spares the last day's objects, cannot take it away."""


class S3Store:
    """A store in a bucket, which any number of machines may use at once."""

    def __init__(self, bucket: Bucket, cache: Path) -> None:
        """Take a bucket that has been probed, and a folder of this machine for what is read."""
        self.bucket = bucket
        self.cache = cache

    def put_file(self, path: Path) -> ArtifactRef:
        """Store the bytes of a file.

        Raises:
            StorageError: The file cannot be read.
            BucketError: The service refuses, or stays away.
        """
        with explaining(path, "reading"):
            if path.stat().st_size <= PIECE_BYTES:
                return self.put_bytes(path.read_bytes())
            digest, size = sha256_of(path), path.stat().st_size
        if not self._is_there(digest, size):
            upload(self.bucket, object_key(digest), path)
            self._mended(digest)
        return ArtifactRef(uri=object_key(digest), sha256=digest)

    def put_bytes(self, data: bytes) -> ArtifactRef:
        """Store ``data``, without asking whether it is there: to write it costs no more.

        Raises:
            BucketError: The service refuses, or stays away.
        """
        digest = hashlib.sha256(data).hexdigest()
        self.bucket.write(object_key(digest), data)
        self._mended(digest)
        return ArtifactRef(uri=object_key(digest), sha256=digest)

    def open(self, ref: ArtifactRef) -> Path:
        """Return the path of a copy whose bytes were verified just now.  Never write to it.

        Raises:
            MissingArtifactError: No object has this digest.
            CorruptArtifactError: The object's bytes have another digest.
            StorageError: The copy cannot be written.
            BucketError: The service refuses, or stays away.
        """
        path = self.cache / ref.sha256[:2] / ref.sha256
        if _is_sound(path, ref.sha256):
            return path
        make_folder(path.parent)
        temporary = path.with_name(f".{ref.sha256}.{secrets.token_hex(8)}.tmp")
        try:
            self._fetch(ref.sha256, temporary)
            with explaining(path, "writing"):
                temporary.chmod(0o444)
                temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
        return path

    def find(self, fingerprint: str) -> dict[str, Any] | None:
        """Return the manifest on record under ``fingerprint``, or None.

        Raises:
            CorruptArtifactError: There is one, but it is no JSON object.
            BucketError: The service refuses, or stays away.
        """
        require_fingerprint(fingerprint)
        key = manifest_key(fingerprint)
        held = self.bucket.read(key)
        return None if held is None else parsed(held.data, self._uri(key))

    def record(self, fingerprint: str, manifest: Mapping[str, Json]) -> dict[str, Any]:
        """Put ``manifest`` on record under ``fingerprint``; the first writer wins.

        Returns:
            The manifest that is on record now, which is the winner's.

        Raises:
            StoreError: The manifest holds NaN or infinity, or the fingerprint is malformed.
            BucketError: The service refuses, or stays away.
        """
        require_fingerprint(fingerprint)
        key = manifest_key(fingerprint)
        data = canonical(manifest, f"The manifest of {fingerprint}")
        if self.bucket.create(key, data) is not None:
            return parsed(data, self._uri(key))
        on_record = self.find(fingerprint)
        if on_record is None:
            raise StoreError(f"{self._uri(key)} was removed while it was being written.")
        return on_record

    def replace(self, fingerprint: str, manifest: Mapping[str, Json]) -> None:
        """Put ``manifest`` on record in place of one that names lost or corrupt objects.

        Who is slower than another one with the same intention leaves what that one wrote.

        Raises:
            StoreError: The manifest holds NaN or infinity, or the fingerprint is malformed.
            BucketError: The service refuses, or stays away.
        """
        require_fingerprint(fingerprint)
        key = manifest_key(fingerprint)
        data = canonical(manifest, f"The manifest of {fingerprint}")
        held = self.bucket.read(key)
        if held is None:
            self.bucket.create(key, data)
        else:
            self.bucket.swap(key, data, held.version)

    def registers(self) -> Registers:
        """Return the store's registers, for leases."""
        return BucketRegisters(self.bucket)

    def inventory(self) -> Inventory:
        """Return the store as who counts and cleans it sees it."""
        return BucketInventory(self.bucket, self.cache)

    def _fetch(self, digest: str, path: Path) -> None:
        """Download an object; leave a mark where it is corrupt, so that storing it mends it."""
        key = object_key(digest)
        if not download(self.bucket, key, path):
            raise MissingArtifactError(
                f"The store holds no object {digest} (looked for {self._uri(key)}). Point to the "
                "store that it was written to, or run the step that makes it again."
            )
        with explaining(path, "reading"):
            found, size = sha256_of(path), path.stat().st_size
        if found == digest:
            return
        make_folder(self._mark(digest).parent)
        with explaining(self._mark(digest), "writing"):
            self._mark(digest).touch()
        raise CorruptArtifactError(
            f"The object {digest} in bucket {self.bucket.root.bucket!r} is corrupt: the {size} "
            f"bytes of {self._uri(key)} have the SHA-256 {found}. Storing the right content "
            "again, as the step that makes it does, repairs the object."
        )

    def _is_there(self, digest: str, size: int) -> bool:
        """Tell whether a large object may be taken as it is."""
        entry = self.bucket.look(object_key(digest))
        return (
            entry is not None
            and entry.size == size
            and entry.age < TRUSTED_SECONDS
            and not self._mark(digest).exists()
        )

    def _mended(self, digest: str) -> None:
        self._mark(digest).unlink(missing_ok=True)

    def _mark(self, digest: str) -> Path:
        """Return the file that is there where this machine found the object corrupt."""
        return self.cache / "corrupt" / digest

    def _uri(self, key: str) -> str:
        return self.bucket.at(key).uri


def _is_sound(path: Path, digest: str) -> bool:
    """Tell whether a copy is what it should be, and note that it was used."""
    if not path.is_file():
        return False
    with explaining(path, "reading"):
        if sha256_of(path) != digest:
            return False
    with contextlib.suppress(OSError):
        path.touch()
    return True
