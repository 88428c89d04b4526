"""What the Hub tells of a revision's files and commits, in the client's words."""

import datetime as dt
from typing import Any

from dulwich.objects import Commit

from infra.local_hub import xet
from infra.local_hub.largefiles import read_pointer
from infra.local_hub.objects import Objects
from infra.local_hub.repository import Repository
from infra.local_hub.trees import Tree, shown


class Listing:
    """The files of one revision."""

    def __init__(
        self, repository: Repository, objects: Objects, tree: Tree, *, speaks_xet: bool
    ) -> None:
        self._repository = repository
        self._objects = objects
        self._tree = tree
        self._speaks_xet = speaks_xet

    def entry(self, path: str) -> dict[str, Any]:
        """Return a file or a folder."""
        return self.file(path) if path in self._tree.files else self._folder(path)

    def file(self, path: str) -> dict[str, Any]:
        """Return a file: its size, git's name for it, and the SHA-256 of a large one."""
        sha = self._tree.files[path].sha
        data = self._objects.blob(sha)
        row: dict[str, Any] = {"type": "file", "path": shown(path), "oid": sha}
        pointer = read_pointer(data)
        if pointer is None:
            return {**row, "size": len(data)}
        lfs = {"oid": pointer.oid, "size": pointer.size, "pointerSize": len(data)}
        row |= {"size": pointer.size, "lfs": lfs}
        chunks = xet.hash_of(self._repository.folder, pointer.oid) if self._speaks_xet else None
        return {**row, "xetHash": chunks} if chunks else row

    def sibling(self, path: str, *, blobs: bool) -> dict[str, Any]:
        """Return a file as a model's information names it."""
        if not blobs:
            return {"rfilename": shown(path)}
        row = self.file(path)
        sibling = {"rfilename": row["path"], "size": row["size"], "blobId": row["oid"]}
        if lfs := row.get("lfs"):
            sibling["lfs"] = {**lfs, "sha256": lfs["oid"]}
        return sibling

    def _folder(self, path: str) -> dict[str, Any]:
        return {
            "type": "directory", "path": shown(path), "oid": self._tree.folders[path], "size": 0,
        }  # fmt: skip


def moment(seconds: int) -> str:
    """Return a moment in Unix time as the client reads it."""
    when = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def title_and_body(commit: Commit) -> tuple[str, str]:
    """Return the first line of a commit's message, and the rest."""
    title, _, body = commit.message.decode(errors="replace").strip().partition("\n")
    return title, body.strip()
