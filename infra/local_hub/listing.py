"""What the Hub tells of a revision's files and commits, in the client's words."""

import datetime
from typing import Any

from dulwich.objects import Commit

from infra.local_hub.largefiles import read_pointer
from infra.local_hub.objects import Objects
from infra.local_hub.repository import Repository
from infra.local_hub.trees import Entry, Tree, shown


class Listing:
    """The files of one revision."""

    def __init__(self, repository: Repository, objects: Objects, tree: Tree) -> None:
        self._repository = repository
        self._objects = objects
        self._tree = tree

    def file(self, path: str, entry: Entry) -> dict[str, Any]:
        """Return a file: its size, git's name for it, and the SHA-256 of a large one."""
        data = self._objects.blob(entry.sha)
        row: dict[str, Any] = {"type": "file", "path": shown(path), "oid": entry.sha}
        pointer = read_pointer(data)
        if pointer is None:
            return {**row, "size": len(data)}
        lfs = {"oid": pointer.oid, "size": pointer.size, "pointerSize": len(data)}
        return {**row, "size": pointer.size, "lfs": lfs}

    def folder(self, path: str) -> dict[str, Any]:
        """Return a folder."""
        return {
            "type": "directory", "path": shown(path), "oid": self._tree.folders[path], "size": 0,
        }  # fmt: skip

    def sibling(self, path: str, *, blobs: bool) -> dict[str, Any]:
        """Return a file as a model's information names it."""
        if not blobs:
            return {"rfilename": shown(path)}
        row = self.file(path, self._tree.files[path])
        sibling = {"rfilename": row["path"], "size": row["size"], "blobId": row["oid"]}
        if lfs := row.get("lfs"):
            sibling["lfs"] = {**lfs, "sha256": lfs["oid"]}
        return sibling


def moment(seconds: int) -> str:
    """Return a moment in Unix time as the client reads it."""
    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def title_and_body(commit: Commit) -> tuple[str, str]:
    """Return the first line of a commit's message, and the rest."""
    title, _, body = commit.message.decode(errors="replace").strip().partition("\n")
    return title, body.strip()
