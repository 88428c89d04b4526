"""Git's objects of one repository: read by dulwich, written durably by us.

dulwich reads whatever git may have made of a repository: loose objects, packs, alternates.  It does
not promise that what it writes survives a power cut, and a kill leaves its lock files behind; so
new objects are written here, under names that cannot be taken for objects, flushed, and renamed.

    objects/aa/<38 hex>     loose objects, read-only, compressed
    hub/tmp/                what is being written; swept by whoever has the repository's lock
"""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from dulwich.object_store import DiskObjectStore
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tag, Tree

from infra.files import explaining, make_folder, sync

COMPRESSION = 1  # the fastest: what is large is not here, and what is small needs no more
LONGEST_TAG_CHAIN = 8


class Objects:
    """The objects of a repository, for one request.  Use it as a context manager."""

    def __init__(self, repository: Path) -> None:
        self._folder = repository / "objects"
        self._temporary = repository / "hub" / "tmp"
        self._store = DiskObjectStore(self._folder)
        self._written: dict[str, Path] = {}  # by sha, where each waits for its name

    def __enter__(self) -> Self:
        """Use the objects until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was read, and forget what was prepared and not settled."""
        for temporary in self._written.values():
            with contextlib.suppress(OSError):
                temporary.unlink()
        self._store.close()

    def __contains__(self, sha: str) -> bool:
        """Whether there is an object of this name, or one is prepared."""
        return sha in self._written or ObjectID(sha.encode()) in self._store

    def blob(self, sha: str) -> bytes:
        """Return the bytes of a blob.

        Raises:
            KeyError: There is no such object.
        """
        return self._store.get_raw(ObjectID(sha.encode()))[1]

    def tree(self, sha: str) -> Tree:
        """Return a tree.

        Raises:
            KeyError: There is no such tree.
        """
        found = self._get(sha)
        if not isinstance(found, Tree):
            raise KeyError(sha)
        return found

    def commit(self, sha: str) -> Commit:
        """Return a commit.

        Raises:
            KeyError: There is no such commit.
        """
        found = self._get(sha)
        if not isinstance(found, Commit):
            raise KeyError(sha)
        return found

    def peeled(self, sha: str) -> str | None:
        """Return the commit that ``sha`` is or, as a tag, stands for; None for others."""
        for _ in range(LONGEST_TAG_CHAIN):
            try:
                found = self._get(sha)
            except KeyError:
                return None
            if isinstance(found, Commit):
                return sha
            if not isinstance(found, Tag):
                return None
            sha = found.object[1].decode()
        return None

    def commits_beginning_with(self, digits: str) -> list[str]:
        """Return all commits whose names begin with these hexadecimal digits."""
        found = {sha.decode() for sha in self._store.iter_prefix(digits.encode()) if len(sha) == 40}  # noqa: PLR2004 -- digits of a SHA-1
        return sorted(sha for sha in found if isinstance(self._get(sha), Commit))

    def log(self, sha: str) -> Iterator[Commit]:
        """Yield a commit and all before it, newest first."""
        from dulwich.walk import Walker  # noqa: PLC0415 -- slow to import, seldom used

        for entry in Walker(self._store, [ObjectID(sha.encode())]):
            yield entry.commit

    def add_blob(self, data: bytes) -> str:
        """Prepare a blob, which `settle` makes durable, and return its name."""
        return self.add(Blob.from_string(data))

    def add(self, item: ShaFile) -> str:
        """Prepare an object, which `settle` makes durable, and return its name.

        Raises:
            StorageError: It cannot be written.
        """
        sha = item.id.decode()
        if sha not in self:
            temporary = self._temporary / f"object-{secrets.token_hex(8)}"
            with explaining(self._folder, "writing below"):
                self._written[sha] = temporary
                temporary.write_bytes(item.as_legacy_object(compression_level=COMPRESSION))
                temporary.chmod(0o444)
        return sha

    def settle(self) -> None:
        """Give all prepared objects their names, flushed to the disk: after this they are there.

        A kill in the middle leaves objects that nothing refers to, which harm nobody.

        Raises:
            StorageError: They cannot be written.
        """
        folders = set()
        with explaining(self._folder, "writing below"):
            for temporary in self._written.values():
                sync(temporary)
            for sha, temporary in list(self._written.items()):
                target = self._folder / sha[:2] / sha[2:]
                if not target.parent.is_dir():
                    make_folder(target.parent)
                    folders.add(self._folder)
                temporary.replace(target)
                del self._written[sha]
                folders.add(target.parent)
            for folder in folders:
                sync(folder)

    def _get(self, sha: str) -> ShaFile:
        return self._store[ObjectID(sha.encode())]
