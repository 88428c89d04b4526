"""The artifact store in a folder: found again by content and by fingerprint.

Steps pass `ArtifactRef`s, a place and a digest, and never tensors.  An object's name is its
SHA-256, so equal content is stored once and a flipped bit is noticed by whoever opens it.  A step
that finishes records one small manifest under the fingerprint of all that went into it; a step
whose fingerprint is on record is not run again.

    root/cas/sha256/aa/<64 hex>       the objects, read-only
    root/manifests/<64 hex>.json      one manifest a fingerprint, written last
    root/leases/                      who is at work on what (`infra.store.leases`)
    root/tmp/                         what is being written

A kill at any moment leaves at worst a file in ``tmp``, which a later writer sweeps away.  Objects
appear by rename and manifests by hard link, which the file system lets exactly one writer do.
"""

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.errors import CorruptArtifactError, MissingArtifactError, StoreError
from infra.files import (
    CHUNK_BYTES,
    Json,
    explaining,
    make_folder,
    sha256_of,
    sync,
    write_atomically,
)
from infra.store.folderinventory import FolderInventory
from infra.store.inventory import Inventory
from infra.store.manifests import LEASES, manifest_key, object_key, parsed
from infra.store.protocol import ArtifactRef, canonical, require_fingerprint
from infra.store.registers import FolderRegisters, Registers

STALE_SECONDS = 24 * 3600  # no write takes a day
TRUSTED_SECONDS = 12 * 3600
"""For how long a sound object that is there already is left as it is.  An older one is written
again, so that a collection of garbage, which spares the last day's objects, cannot take it away."""


class FolderStore:
    """A store in a local or shared folder.

    Any number of processes may write to it at once.  The file system must know hard links.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_file(self, path: Path) -> ArtifactRef:
        """Copy a file into the store, hashing on the way.  Storing it again changes nothing.

        Raises:
            StorageError: The file cannot be read, or the store cannot be written.
        """
        with explaining(path, "reading"), path.open("rb") as file:
            return self._put(iter(lambda: file.read(CHUNK_BYTES), b""))

    def put_bytes(self, data: bytes) -> ArtifactRef:
        """Store ``data``.  Storing it again changes nothing.

        Raises:
            StorageError: The store cannot be written.
        """
        return self._put([data])

    def open(self, ref: ArtifactRef) -> Path:
        """Return the path of an object whose bytes were verified just now.  Never write to it.

        Raises:
            MissingArtifactError: No object has this digest.
            CorruptArtifactError: The object's bytes have another digest.
        """
        path = self._object(ref.sha256)
        if not path.is_file():
            raise MissingArtifactError(
                f"The store {self.root} holds no object {ref.sha256} (looked for {path}). "
                "Point to the store that it was written to, or run the step that makes it again."
            )
        with explaining(path, "reading"):
            found = sha256_of(path)
        if found != ref.sha256:
            raise CorruptArtifactError(
                f"The object {ref.sha256} in the store {self.root} is corrupt: the "
                f"{path.stat().st_size} bytes of {path} have the SHA-256 {found}. "
                "Check the disk; storing the right content again, as the step that makes it does, "
                "repairs the object."
            )
        return path

    def find(self, fingerprint: str) -> dict[str, Any] | None:
        """Return the manifest on record under ``fingerprint``, or None.

        Raises:
            CorruptArtifactError: There is one, but it is no JSON object.
            StorageError: The store cannot be read.
        """
        path = self._manifest(fingerprint)
        with explaining(path, "reading"):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        return parsed(data, str(path))

    def record(self, fingerprint: str, manifest: Mapping[str, Json]) -> dict[str, Any]:
        """Put ``manifest`` on record under ``fingerprint``; the first writer wins.

        Write it last: whoever finds it may rely on every object that it names.

        Returns:
            The manifest that is on record now, which is the winner's.

        Raises:
            StoreError: The manifest holds NaN or infinity, or the fingerprint is malformed.
            StorageError: The store cannot be written.
        """
        path = self._manifest(fingerprint)
        data = canonical(manifest, f"The manifest of {fingerprint}")
        temporary = self._temporary()
        with explaining(path, "writing"):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(data)
                sync(temporary)
                path.hardlink_to(temporary)
            except FileExistsError:
                pass  # another writer was first, and its manifest is as good
            finally:
                temporary.unlink(missing_ok=True)
            sync(path.parent)
        on_record = self.find(fingerprint)
        if on_record is None:
            raise StoreError(f"The manifest {path} was removed while it was being written.")
        return on_record

    def replace(self, fingerprint: str, manifest: Mapping[str, Json]) -> None:
        """Put ``manifest`` on record in place of one that names lost or corrupt objects.

        Raises:
            StoreError: The manifest holds NaN or infinity, or the fingerprint is malformed.
            StorageError: The store cannot be written.
        """
        path = self._manifest(fingerprint)
        write_atomically(path, canonical(manifest, f"The manifest of {fingerprint}"))

    def registers(self) -> Registers:
        """Return the store's registers, for leases."""
        return FolderRegisters(self.root / LEASES)

    def inventory(self) -> Inventory:
        """Return the store as who counts and cleans it sees it."""
        return FolderInventory(self.root)

    def _put(self, pieces: Iterable[bytes]) -> ArtifactRef:
        temporary = self._temporary()
        with explaining(temporary, "writing"):
            try:
                digest = _write_hashing(temporary, pieces)
                self._settle(temporary, digest)
            finally:
                temporary.unlink(missing_ok=True)
        return ArtifactRef(uri=object_key(digest), sha256=digest)

    def _settle(self, temporary: Path, digest: str) -> None:
        """Give a finished file its name, unless a sound and young object has it already."""
        target = self._object(digest)
        if target.is_file() and _is_young(target) and sha256_of(target) == digest:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.chmod(0o444)
        temporary.replace(target)
        sync(target.parent)
        sync(target.parent.parent)

    def _temporary(self) -> Path:
        folder = self.root / "tmp"
        make_folder(folder)
        _sweep(folder)
        return folder / secrets.token_hex(16)

    def _object(self, digest: str) -> Path:
        return self.root / object_key(digest)

    def _manifest(self, fingerprint: str) -> Path:
        require_fingerprint(fingerprint)
        return self.root / manifest_key(fingerprint)


def _write_hashing(path: Path, pieces: Iterable[bytes]) -> str:
    """Write ``pieces`` to a new file, flush it, and return their SHA-256."""
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
    sync(path)
    return digest.hexdigest()


def _is_young(path: Path) -> bool:
    return time.time() - path.stat().st_mtime < TRUSTED_SECONDS


def _sweep(folder: Path) -> None:
    """Remove what killed writers left: files that nobody has touched for a day."""
    for path in _older_than(folder, time.time() - STALE_SECONDS):
        path.unlink(missing_ok=True)


def _older_than(folder: Path, moment: float) -> Iterator[Path]:
    for path in folder.iterdir():
        try:
            if path.stat().st_mtime < moment:
                yield path
        except FileNotFoundError:
            continue  # its writer has just finished
