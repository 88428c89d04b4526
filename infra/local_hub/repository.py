"""One repository on the disk: a bare git repository that git itself can read.

    root/models/<namespace>/<name>.git/
        HEAD config objects/ refs/      git's own
        lfs/objects/aa/bb/<64 hex>      the content of large files, where git-lfs keeps it, too
        hub/about.json                  id, visibility, age
        hub/lock                        whoever changes anything holds this lock
        hub/xet/<64 hex>                how the client's own way of storing names a large file
        hub/tmp/                        what is being written: leftovers once the lock is free

Large files belong to their repository: knowing the SHA-256 of somebody's private file must not be
enough to read it.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dulwich.objects import Commit, ObjectID
from pydantic import BaseModel, ConfigDict

from infra.files import explaining, make_folder, sync, write_atomically
from infra.local_hub.access import Caller, make_root
from infra.local_hub.attributes import LARGE_FILES
from infra.local_hub.names import KINDS
from infra.local_hub.objects import Objects
from infra.local_hub.references import BRANCHES, References
from infra.local_hub.refusals import no_repository
from infra.local_hub.trees import PLAIN_FILE, Entry, write_tree

DEFAULT_BRANCH = "main"
STALE_SECONDS = 24 * 3600  # nothing that is being made takes a day
# gc.pruneExpire: a commit that only a model card names must outlive an operator's `git gc`.
CONFIG = """\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
[gc]
\tpruneExpire = never
\tauto = 0
"""


class About(BaseModel):
    """What a repository is beside its content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    private: bool
    created: int


class Repository(NamedTuple):
    """Where a repository is; it need not exist."""

    root: Path
    kind: str
    namespace: str
    name: str

    @property
    def id(self) -> str:
        """Its name with the namespace."""
        return f"{self.namespace}/{self.name}"

    @property
    def folder(self) -> Path:
        """Its folder, which is a bare git repository."""
        return self.root / self.kind / self.namespace / f"{self.name}.git"

    def about(self) -> About | None:
        """Return what it is; None if there is no such repository."""
        path = self.folder / "hub" / "about.json"
        with explaining(path, "reading"):
            try:
                return About.model_validate_json(path.read_bytes())
            except FileNotFoundError:
                return None

    def describe(self, about: About) -> None:
        """Change what it is.

        Raises:
            StorageError: It cannot be written.
        """
        write_atomically(self.folder / "hub" / "about.json", about.model_dump_json().encode())

    def objects(self) -> Objects:
        """Open its objects; to be closed by the caller, as a context manager."""
        return Objects(self.folder)

    def references(self) -> References:
        """Return its branches and tags."""
        return References(self.folder)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one, of all threads and processes, who changes this repository.

        The system lets go of the lock however its holder ends, so what lies in the folder of
        unfinished files now is from one who was killed, and is removed.

        Raises:
            Refusal: The repository was removed meanwhile.
            StorageError: The repository cannot be written.
        """
        path = self.folder / "hub" / "lock"
        with explaining(path, "locking"):
            descriptor = _lock(path)
            try:
                _sweep(self.folder / "hub" / "tmp")
            except BaseException:
                os.close(descriptor)
                raise
        try:
            yield
        finally:
            os.close(descriptor)


def repositories(root: Path, kind: str) -> Iterator[Repository]:
    """Yield all repositories of a kind, by namespace and name."""
    for folder in sorted((root / kind).glob("*/*.git")):
        yield Repository(root, kind, folder.parent.name, folder.name.removesuffix(".git"))


def create(repository: Repository, caller: Caller, *, private: bool) -> bool:
    """Make a repository with its first commit; return False if there is one of that name.

    It is made elsewhere and moved into its place, so it is there as a whole or not at all.

    Raises:
        StorageError: It cannot be written.
    """
    make_folder(repository.folder.parent)
    draft = repository.root / "tmp" / f"repository-{secrets.token_hex(8)}"
    try:
        _fill(draft, caller, private=private)
        with explaining(repository.folder, "making"):
            try:
                draft.rename(repository.folder)
            except OSError:
                if repository.about() is None:
                    raise
                return False
            sync(repository.folder.parent)
            sync(repository.folder.parent.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def remove(repository: Repository) -> None:
    """Remove a repository, all its revisions and large files.

    Raises:
        StorageError: It cannot be removed.
    """
    gone = repository.root / "tmp" / f"removed-{secrets.token_hex(8)}"
    make_folder(gone.parent)
    with repository.locked(), explaining(repository.folder, "removing"):
        repository.folder.rename(gone)
        sync(repository.folder.parent)
    shutil.rmtree(gone, ignore_errors=True)  # what is left is swept at the next start


def signed_commit(tree: str, parents: list[str], message: str, user: str) -> Commit:
    """Return a commit by ``user``, made now."""
    commit = Commit()
    commit.tree = ObjectID(tree.encode())
    commit.parents = [ObjectID(parent.encode()) for parent in parents]
    commit.author = commit.committer = f"{user} <{user}@hub.invalid>".encode()
    commit.author_time = commit.commit_time = int(time.time())
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = f"{message.rstrip()}\n".encode()
    return commit


def _fill(folder: Path, caller: Caller, *, private: bool) -> None:
    for below in ("objects", "refs/heads", "refs/tags", "hub/tmp"):
        make_folder(folder / below)
    with Objects(folder) as objects:
        attributes = objects.add_blob(LARGE_FILES)
        tree = write_tree(objects, {".gitattributes": Entry(PLAIN_FILE, attributes)})
        first = objects.add(signed_commit(tree, [], "initial commit", caller.user))
        objects.settle()
    References(folder).put(BRANCHES + DEFAULT_BRANCH, first)
    about = About(id=secrets.token_hex(12), private=private, created=int(time.time()))
    texts = {
        "config": CONFIG,
        "HEAD": f"ref: {BRANCHES}{DEFAULT_BRANCH}\n",
        "hub/about.json": about.model_dump_json(),
        "hub/lock": "",
    }
    with explaining(folder, "writing below"):
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
            sync(folder / name)
        for inner in (folder / "hub", folder / "refs", folder):
            sync(inner)


def _lock(path: Path) -> int:
    """Lock a file that is there, and still there when the lock is had."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            raise no_repository(known_caller=True) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the repository was removed while we waited


def _sweep(folder: Path) -> None:
    make_folder(folder)
    for path in folder.iterdir():
        path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def prepare(root: Path) -> None:
    """Make the folders of a Hub and remove what killed servers left of repositories.

    Raises:
        StorageError: The folder cannot be used.
    """
    make_root(root)
    make_folder(root / "tmp")
    for kind in KINDS:
        make_folder(root / kind)
    for left in (root / "tmp").glob("*-*"):
        with contextlib.suppress(FileNotFoundError):
            if (
                left.name.startswith("removed-")
                or left.stat().st_mtime < time.time() - STALE_SECONDS
            ):
                _remove(left)
