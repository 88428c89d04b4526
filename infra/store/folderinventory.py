"""What a store in a folder keeps."""

import time
from collections.abc import Iterator
from pathlib import Path

from infra.files import explaining, sha256_of
from infra.store.inventory import Kept, Leftover, Paper
from infra.store.manifests import MANIFESTS, OBJECTS, object_key


class FolderInventory:
    """Every method raises `StorageError` where the folder cannot be read or written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def objects(self) -> Iterator[Kept]:
        """Yield every object."""
        with explaining(self.root, "listing"):
            for path in sorted((self.root / OBJECTS).glob("??/*")):
                kept = self.look(path.name)
                if kept is not None:
                    yield kept

    def manifests(self) -> Iterator[Paper]:
        """Yield every manifest."""
        with explaining(self.root, "reading"):
            for path in sorted((self.root / MANIFESTS).glob("*.json")):
                if not path.name.startswith("."):  # one that is being written
                    yield Paper(str(path), path.read_bytes())

    def look(self, digest: str) -> Kept | None:
        """Return an object as it is now."""
        try:
            told = self._object(digest).stat()
        except FileNotFoundError:
            return None
        return Kept(digest, told.st_size, time.time() - told.st_mtime)

    def read(self, digest: str) -> str | None:
        """Return the SHA-256 of an object's bytes."""
        with explaining(self._object(digest), "reading"):
            try:
                return sha256_of(self._object(digest))
            except FileNotFoundError:
                return None

    def where(self, digest: str) -> str:
        """Return an object's path."""
        return str(self._object(digest))

    def remove(self, digest: str) -> None:
        """Remove an object."""
        with explaining(self._object(digest), "removing"):
            self._object(digest).unlink(missing_ok=True)

    def leftovers(self, age: float) -> Iterator[Leftover]:
        """Yield files that killed writers left."""
        yield from old_files(self.root / "tmp", age)

    def discard(self, leftover: Leftover) -> None:
        """Remove a file."""
        with explaining(Path(leftover.place), "removing"):
            Path(leftover.place).unlink(missing_ok=True)

    def _object(self, digest: str) -> Path:
        return self.root / object_key(digest)


def old_files(folder: Path, age: float) -> Iterator[Leftover]:
    """Yield the files below ``folder`` that nobody has touched for ``age`` seconds."""
    before = time.time() - age
    with explaining(folder, "listing"):
        for path in sorted(folder.rglob("*")):
            try:
                told = path.stat()
            except FileNotFoundError:
                continue  # its writer has just finished
            if path.is_file() and told.st_mtime < before:
                yield Leftover(str(path), told.st_size)
