"""Large files: a pointer in git, the content beside it under its SHA-256.

The pointer is git-lfs's own, so that whoever clones the repository knows what to do with it.
"""

import re
from pathlib import Path
from typing import NamedTuple

from infra.files import explaining, sha256_of, sync
from infra.local_hub.refusals import Refusal, malformed, no_repository

LONGEST_POINTER = 1024
_OID = re.compile(r"[0-9a-f]{64}")
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n"
)


class Pointer(NamedTuple):
    """What git keeps of a large file."""

    oid: str
    size: int

    @property
    def text(self) -> bytes:
        """The content of the file that stands in git."""
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.oid}\nsize {self.size}\n"
        ).encode()


def read_pointer(data: bytes) -> Pointer | None:
    """Return the pointer that a file in git is, if it is one."""
    found = _POINTER.fullmatch(data) if len(data) <= LONGEST_POINTER else None
    return Pointer(found[1].decode(), int(found[2])) if found else None


def check_oid(oid: str) -> str:
    """Return a SHA-256.

    Raises:
        Refusal: It is none.
    """
    if not _OID.fullmatch(oid):
        raise malformed(f"{oid[:80]!r} is no SHA-256: 64 hexadecimal digits are wanted.")
    return oid


def content_path(repository: Path, oid: str) -> Path:
    """Return where the content of a large file is, or would be."""
    return repository / "lfs" / "objects" / oid[:2] / oid[2:4] / oid


def has_content(repository: Path, pointer: Pointer) -> bool:
    """Whether a repository has the content of a large file."""
    try:
        return content_path(repository, pointer.oid).stat().st_size == pointer.size
    except OSError:
        return False


def adopt(repository: Path, pointer: Pointer, received: Path) -> None:
    """Move a received file into the repository, if it is what it was announced as.

    Raises:
        Refusal: It is something else, or the repository was removed meanwhile.
        StorageError: It cannot be moved.
    """
    with explaining(received, "reading"):
        size = received.stat().st_size
        oid = sha256_of(received) if size == pointer.size else ""
    if oid != pointer.oid:
        found = f"SHA-256 {oid}" if oid else f"{size} bytes"
        raise Refusal(
            400,
            f"The upload is not what was announced: {pointer.size} bytes of SHA-256 {pointer.oid} "
            f"were, {found} came.",
        )
    target = content_path(repository, pointer.oid)
    folders = list(reversed(target.relative_to(repository).parents))[1:]
    with explaining(target, "writing"):
        received.chmod(0o444)
        sync(received)
        try:
            for folder in folders:  # not with its parents: what is gone must not come back
                (repository / folder).mkdir(exist_ok=True)
            received.replace(target)
            for folder in folders:
                sync(repository / folder)
        except FileNotFoundError:
            raise no_repository(known_caller=True) from None
