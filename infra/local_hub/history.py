"""Which commit last changed a file: what a tree is asked for with ``expand``."""

from collections.abc import Iterable
from typing import Any

from dulwich.objects import Commit

from infra.local_hub.listing import moment, title_and_body
from infra.local_hub.objects import Objects
from infra.local_hub.trees import read_tree


def last_commits(objects: Objects, sha: str, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the newest commit that changed each path, looking back from ``sha``.

    The line of first parents is followed, which is all of it where only the Hub makes commits.
    """
    waiting, found = set(paths), dict[str, dict[str, Any]]()
    commit = objects.commit(sha)
    now = _names(objects, commit)
    while waiting:
        parent = objects.commit(commit.parents[0].decode()) if commit.parents else None
        before = _names(objects, parent) if parent is not None else {}
        for path in [path for path in waiting if now.get(path) != before.get(path)]:
            found[path] = _row(commit)
            waiting.discard(path)
        if parent is None:
            break
        commit, now = parent, before
    return found


def _names(objects: Objects, commit: Commit) -> dict[str, str]:
    tree = read_tree(objects, commit.tree.decode())
    return {**{path: entry.sha for path, entry in tree.files.items()}, **tree.folders}


def _row(commit: Commit) -> dict[str, Any]:
    title = title_and_body(commit)[0]
    return {"id": commit.id.decode(), "title": title, "date": moment(commit.commit_time)}
