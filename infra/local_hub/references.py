"""Branches and tags: read by dulwich, moved by one rename.

A reference is the last thing that is written: who reads it may rely on everything behind it.  It is
moved only under the repository's lock, so what was read there is still true when it is written.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dulwich.refs import DiskRefsContainer, Ref, check_ref_format

from infra.errors import StorageError
from infra.files import explaining, make_folder, sync, write_atomically
from infra.local_hub.refusals import Refusal

BRANCHES, TAGS = "refs/heads/", "refs/tags/"


class Change(NamedTuple):
    """What happened to a reference.  Commits; None where there was or is none."""

    ref: str
    old: str | None
    new: str | None


class References:
    """The references of one repository, for one request."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._refs = DiskRefsContainer(repository)

    def get(self, ref: str) -> str | None:
        """Return what a reference points at, which may be a tag's own object.

        A name that no reference can have is one that nothing has.
        """
        name = Ref(ref.encode(errors="replace"))
        if not check_ref_format(name):
            return None
        value = self._refs.read_ref(name)
        return value.decode() if value and not value.startswith(b"ref:") else None

    def below(self, prefix: str) -> dict[str, str]:
        """Return all references whose names begin with ``prefix``, sorted, without it.

        Names that are no UTF-8, which only git itself can have put there, are left out.
        """
        found: dict[str, str] = {}
        for name in sorted(self._refs.subkeys(Ref(prefix.rstrip("/").encode()))):
            with contextlib.suppress(UnicodeDecodeError):
                text = name.decode()
                if sha := self.get(prefix + text):
                    found[text] = sha
        return found

    def put(self, ref: str, sha: str) -> None:
        """Point a reference at an object; the caller has the repository's lock.

        Raises:
            Refusal: Its name has a beginning that is a reference, or the other way round.
            StorageError: It cannot be written.
        """
        self._require_no_conflict(ref)
        path = self._repository / ref
        with explaining(path, "writing"):
            self._remove_empty_folders(path)
        # beside the folder of references: a name of ours in there would look like one of them
        waiting = self._repository / "hub" / "tmp" / "reference"
        deep = list(_up_to(path.parent, self._repository / "refs"))
        make_folder(path.parent)
        with explaining(path, "writing"):
            waiting.write_bytes(f"{sha}\n".encode())
            sync(waiting)
            waiting.replace(path)
            for folder in deep:
                sync(folder)

    def remove(self, ref: str) -> None:
        """Remove a reference; the caller has the repository's lock.

        Raises:
            StorageError: It cannot be removed.
        """
        self._remove_packed(ref)
        path = self._repository / ref
        with explaining(path, "removing"):
            path.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                sync(path.parent)

    def _remove_packed(self, ref: str) -> None:
        """Take a reference out of the file that `git pack-refs` writes, with its peeled line."""
        packed = self._repository / "packed-refs"
        if not packed.exists():
            return
        kept, skipping = [], False
        for line in packed.read_bytes().splitlines(keepends=True):
            peeled = line.startswith(b"^")
            skipping = skipping if peeled else line.split(b" ", 1)[-1].strip() == ref.encode()
            if not skipping:
                kept.append(line)
        write_atomically(packed, b"".join(kept))

    def _require_no_conflict(self, ref: str) -> None:
        """References are files in folders, so no name can be the beginning of another one."""
        kind = ref[: ref.index("/", len("refs/")) + 1]
        name = ref.removeprefix(kind)
        for other in self.below(kind):
            if other.startswith(f"{name}/") or name.startswith(f"{other}/"):
                raise Refusal(
                    409, f"Reference {ref} cannot be beside {kind}{other}: one is below the other"
                )

    def _remove_empty_folders(self, path: Path) -> None:
        """Remove what deleted references left where ``path`` is to be a file."""
        if not path.is_dir():
            return
        for folder in sorted((p for p in path.rglob("*") if p.is_dir()), reverse=True):
            folder.rmdir()
        path.rmdir()


def require_unlocked(repository: Path, ref: str) -> None:
    """Require that no git process is moving a reference just now.

    Raises:
        StorageError: One is, or has died of it.
    """
    lock = repository / f"{ref}.lock"
    if lock.exists():
        raise StorageError(
            f"{lock} says that a git process is moving {ref}. Try again when it has finished; if "
            "none is running, remove that file."
        )


def _up_to(folder: Path, top: Path) -> Iterator[Path]:
    while folder != top:
        yield folder
        folder = folder.parent
