"""One branch becomes exactly what is wanted, in one commit, or stays what it was.

    if the files at its head are the wanted ones:
        it is done                                    a re-run, or a commit whose answer was lost
    commit additions and deletions, with head as the parent
    compare what is there now with what was wanted    by the Hub's digests, nothing is fetched

After any failure of the commit the branch is read again before anything is judged.
"""

from collections.abc import Sequence
from typing import NamedTuple

from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from infra.checkpoints.sidefiles import SIGNATURE
from infra.errors import (
    HubUnreachableError,
    PublishedDiffersError,
    PublishError,
    StaleParentError,
)
from infra.publishing.hub import Hub, Operation
from infra.publishing.manifest import (
    NOT_OURS,
    LocalFile,
    Manifest,
    Tree,
    differences,
    is_same,
    of_bytes,
    without,
)
from infra.publishing.signing import Signer

_SHOWN = 3  # differences in a message


class Place(NamedTuple):
    """A branch of a repository."""

    repo_id: str
    branch: str

    def __str__(self) -> str:
        """Name it in a message."""
        return f"{self.branch} of {self.repo_id}"


class Put(NamedTuple):
    """What has become of a branch."""

    commit: str
    commits: int  # made by this call: none or one


def put(
    hub: Hub, place: Place, head: str, wanted: Manifest, *, title: str, signer: Signer | None
) -> Put:
    """Make a branch exactly ``wanted``, with a signature over it where there is a signer.

    Args:
        hub: Where it is.
        place: The branch.
        head: Where it was when it was looked at: nobody else may have written to it since.
        wanted: All files; others are deleted, but the Hub's own `.gitattributes`.
        title: Of the commit.
        signer: Signs ``wanted``; None leaves a signature alone that is there over the same files.

    Raises:
        StaleParentError: Somebody else wrote to the branch meanwhile.
        PublishedDiffersError: The Hub shows other files than were pushed.
        PublishError: The Hub refuses; a class below it says why.
        HubUnreachableError: It does not answer.
    """
    tree = hub.tree(place.repo_id, head)
    if holds(hub, place.repo_id, head, tree, wanted, signer):
        return Put(head, 0)
    if signer:
        wanted = {**wanted, **of_bytes({SIGNATURE: signer.sign(wanted)})}
    try:
        commit = hub.commit(
            place.repo_id, place.branch, _operations(wanted, tree), parent=head, title=title
        )
    except (PublishError, HubUnreachableError) as error:
        return _landed(hub, place, head, wanted, signer, error)
    require_same(hub, place, commit, wanted)
    return Put(commit, 1)


def holds(
    hub: Hub, repo_id: str, commit: str, tree: Tree, wanted: Manifest, signer: Signer | None
) -> bool:
    """Tell whether a commit is ``wanted``, with a signature of this signer where there is one.

    Two signatures of one key over one content differ, so the one that is there is verified.
    """
    bare = without(wanted, SIGNATURE)
    unsigned = {path: file for path, file in tree.items() if path != SIGNATURE}
    if differences(bare, unsigned):
        return False
    if signer is None:
        return True
    return SIGNATURE in tree and signer.vouches(hub.read(repo_id, commit, SIGNATURE), bare)


def require_same(hub: Hub, place: Place, commit: str, wanted: Manifest) -> None:
    """Require that a commit on the Hub has exactly the wanted files.

    Raises:
        PublishedDiffersError: It has not.
    """
    if found := differences(wanted, hub.tree(place.repo_id, commit)):
        raise PublishedDiffersError(
            f"{place} at {hub.endpoint} is at {commit}, but its files are not those that were "
            f"pushed: {shown(found)}. Make sure that nothing writes to the folders while they are "
            "published, and publish again; no tag was set on this commit."
        )


def shown(found: Sequence[str]) -> str:
    """Return the first few of many differences, for a message."""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _operations(wanted: Manifest, tree: Tree) -> list[Operation]:
    """Return what turns ``tree`` into ``wanted``."""
    changed = {
        path: file
        for path, file in wanted.items()
        if path not in tree or not is_same(file, tree[path])
    }
    gone = sorted(tree.keys() - wanted.keys() - {NOT_OURS})
    return [
        *(CommitOperationAdd(path, _sendable(file)) for path, file in sorted(changed.items())),
        *(CommitOperationDelete(path, is_folder=False) for path in gone),
    ]


def _sendable(file: LocalFile) -> str | bytes:
    return file.content if isinstance(file.content, bytes) else str(file.content)


def _landed(
    hub: Hub,
    place: Place,
    head: str,
    wanted: Manifest,
    signer: Signer | None,
    error: PublishError | HubUnreachableError,
) -> Put:
    """Find the release on the branch although its commit failed; else raise what was wrong."""
    stale = isinstance(error, StaleParentError)
    now = hub.refs(place.repo_id).branches.get(place.branch, head)
    if now != head and holds(hub, place.repo_id, now, hub.tree(place.repo_id, now), wanted, signer):
        return Put(now, 0 if stale else 1)  # another publisher's, or ours whose answer was lost
    if stale:
        raise StaleParentError(
            f"{place} at {hub.endpoint} was at {head} when this began and is at {now} now, with "
            "other files than this release's: somebody else wrote to it. Nothing was changed by "
            f"this. Look at {hub.endpoint}/{place.repo_id}/commits/{place.branch}, and publish "
            "again if the release is to follow what is there."
        ) from error
    raise error
