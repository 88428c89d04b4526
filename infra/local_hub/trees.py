"""A revision's files as one flat mapping, and back into git's trees."""

import stat
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from dulwich.objects import ObjectID
from dulwich.objects import Tree as GitTree

from infra.local_hub.objects import Objects
from infra.local_hub.refusals import malformed

PLAIN_FILE = 0o100644
OTHER_REPOSITORY = 0o160000  # a link to a commit elsewhere, which is no file


class Entry(NamedTuple):
    """A file in a tree."""

    mode: int
    sha: str


Files: TypeAlias = Mapping[str, Entry]  # by path


class Tree(NamedTuple):
    """All files and folders below a tree."""

    files: dict[str, Entry]
    folders: dict[str, str]  # path -> sha of its own tree


def read_tree(objects: Objects, sha: str) -> Tree:
    """Return everything below a tree, in git's order.

    Names that are no UTF-8, which only git itself can have put there, are kept as they are by
    surrogate escapes.
    """
    tree = Tree({}, {})
    _walk(objects, sha, "", tree)
    return tree


def write_tree(objects: Objects, files: Files) -> str:
    """Prepare the trees that hold ``files``, and return the name of the root.

    Raises:
        Refusal: A path is a file and a folder at once.
        StorageError: An object cannot be written.
    """
    tree = GitTree()
    below: dict[str, dict[str, Entry]] = {}
    for path, entry in files.items():
        top, slash, rest = path.partition("/")
        if slash:
            below.setdefault(top, {})[rest] = entry
        else:
            tree.add(_encoded(top), entry.mode, ObjectID(entry.sha.encode()))
    for name, inner in below.items():
        if _encoded(name) in tree:
            raise malformed(f"{name!r} would be a file and a folder at once; delete the one first.")
        tree.add(_encoded(name), stat.S_IFDIR, ObjectID(write_tree(objects, inner).encode()))
    return objects.add(tree)


def shown(path: str) -> str:
    """Return a path as JSON can say it."""
    return path.encode(errors="surrogateescape").decode(errors="replace")


def _walk(objects: Objects, sha: str, before: str, into: Tree) -> None:
    for item in objects.tree(sha).items():
        assert item.path is not None and item.mode is not None and item.sha is not None  # noqa: S101, PT018 -- a tree on disk is complete
        path, child = before + item.path.decode(errors="surrogateescape"), item.sha.decode()
        if stat.S_ISDIR(item.mode):
            into.folders[path] = child
            _walk(objects, child, f"{path}/", into)
        elif stat.S_IFMT(item.mode) != OTHER_REPOSITORY:
            into.files[path] = Entry(item.mode, child)


def _encoded(name: str) -> bytes:
    return name.encode(errors="surrogateescape")
