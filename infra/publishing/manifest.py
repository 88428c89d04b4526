"""What a revision holds: every file's size and digests, here and on the Hub, side by side.

The Hub tells of a large file its SHA-256 and of a small one its git blob's SHA-1, and decides
itself which is which.  So both are computed here, in one reading, and a whole revision is compared
without a byte of it being fetched.
"""

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeAlias

from infra.checkpoints.sidefiles import BROUGHT_ALONG, SIGNATURE, SUMS, sums_of
from infra.files import CHUNK_BYTES, explaining

NOT_OURS = ".gitattributes"
"""The Hub's own file in every repository: never compared, written or removed."""

_READERS = 4  # hashing is bound by the disk or by one core a file


class LocalFile(NamedTuple):
    """A file to be published, or that was downloaded."""

    content: Path | bytes
    size: int
    sha256: str
    git_sha1: str


class RemoteFile(NamedTuple):
    """A file on the Hub, as its tree tells."""

    size: int
    sha256: str | None  # of a large file
    git_sha1: str  # of a small file; of a large one it is its pointer's


Manifest: TypeAlias = Mapping[str, LocalFile]  # by path, with / between folders
Tree: TypeAlias = Mapping[str, RemoteFile]
Known: TypeAlias = dict[tuple[int, int, int, int], LocalFile]
"""What was read before, by inode: both formats of a release share most of their bytes."""


def measure(folder: Path, known: Known) -> Manifest:
    """Read all files of a folder but `BROUGHT_ALONG`; symbolic links are the files they lead to.

    Args:
        folder: A folder that nobody writes to.
        known: Files read before; those that are read here are added.

    Raises:
        StorageError: The folder or a file cannot be read.
    """
    with explaining(folder, "reading"):
        list(folder.iterdir())  # rglob would find nothing in a folder that is not there
        paths = {
            path.relative_to(folder).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.relative_to(folder).parts[0] not in BROUGHT_ALONG and path.is_file()
        }
        with ThreadPoolExecutor(_READERS) as pool:
            files = pool.map(lambda path: _measured(path, known), paths.values())
            return dict(zip(paths, files, strict=True))


def of_bytes(files: Mapping[str, bytes]) -> Manifest:
    """Return the manifest of files that are in memory."""
    return {
        path: LocalFile(data, len(data), *_digests([data], len(data)))
        for path, data in files.items()
    }


def with_sums(files: Manifest) -> Manifest:
    """Return ``files`` with a `SHA256SUMS` over them, as ``sha256sum --check`` reads it."""
    summed = {path: file.sha256 for path, file in without(files, SUMS, SIGNATURE).items()}
    return {**files, **of_bytes({SUMS: sums_of(summed)})}


def bytes_of(file: LocalFile) -> bytes:
    """Return what a small file holds."""
    return file.content if isinstance(file.content, bytes) else file.content.read_bytes()


def without(files: Manifest, *paths: str) -> Manifest:
    """Return ``files`` but those of these paths."""
    return {path: file for path, file in files.items() if path not in paths}


def differences(wanted: Manifest, tree: Tree) -> tuple[str, ...]:
    """Tell in what a revision on the Hub differs from what is wanted: nothing, if it is that."""
    there = {path: file for path, file in tree.items() if path != NOT_OURS}
    return (
        *(f"{path} is missing" for path in sorted(wanted.keys() - there.keys())),
        *(f"{path} is not of it" for path in sorted(there.keys() - wanted.keys())),
        *(
            f"{path} has other content"
            for path in sorted(wanted.keys() & there.keys())
            if not is_same(wanted[path], there[path])
        ),
    )


def is_same(local: LocalFile, remote: RemoteFile) -> bool:
    """Tell whether two files have the same bytes."""
    if remote.sha256 is not None:
        return (local.size, local.sha256) == (remote.size, remote.sha256)
    return (local.size, local.git_sha1) == (remote.size, remote.git_sha1)


def _measured(path: Path, known: Known) -> LocalFile:
    stat = path.stat()
    key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if key not in known:
        with path.open("rb") as file:
            pieces = iter(lambda: file.read(CHUNK_BYTES), b"")
            known[key] = LocalFile(path, stat.st_size, *_digests(pieces, stat.st_size))
    return known[key]._replace(content=path)


def _digests(pieces: Iterable[bytes], size: int) -> tuple[str, str]:
    """Return SHA-256 and git's SHA-1 of a blob of ``size`` bytes, reading it once."""
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    for piece in pieces:
        sha256.update(piece)
        git.update(piece)
    return sha256.hexdigest(), git.hexdigest()
