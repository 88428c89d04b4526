"""Go back to an earlier release: the branch gets its files again, in one commit, on the Hub.

The Hub copies large files by their digests, so nothing is uploaded.  Tags stay where they are: the
release that is left is still there for those who pinned it, and so is its GPTQ revision.
"""

from huggingface_hub import CommitOperationCopy, CommitOperationDelete
from pydantic import BaseModel, ConfigDict, Field

from infra.checkpoints.sidefiles import PROVENANCE
from infra.errors import (
    HubUnreachableError,
    PublishedDiffersError,
    PublishError,
    StaleParentError,
    UnknownReleaseError,
    UnknownRevisionError,
)
from infra.publishing.hub import Hub, Operation
from infra.publishing.manifest import NOT_OURS, Tree
from infra.publishing.put import Place
from infra.publishing.refs import DEFAULT_BRANCH


class Rolled(BaseModel):
    """What has become of the branch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo_id: str = Field(description="The repository.")
    branch: str = Field(description="The branch.")
    to: str = Field(description="What was asked for: a tag, or a commit.")
    release: str = Field(description="The commit whose files the branch has now.")
    before: str = Field(description="Where the branch was.")
    commit: str = Field(description="Where it is.")
    commits: int = Field(ge=0, le=1, description="None if it had these files already.")


def rollback(hub: Hub, repo_id: str, to: str, *, branch: str = DEFAULT_BRANCH) -> Rolled:
    """Give a branch the files of an earlier release.

    Args:
        hub: Where the repository is.
        repo_id: The repository.
        to: The release: its tag, or a commit.
        branch: The branch.

    Raises:
        UnknownReleaseError: The repository has no such release, or no such branch.
        StaleParentError: Somebody else wrote to the branch meanwhile.
        PublishError: The Hub refuses; a class below it says why.
        HubUnreachableError: It does not answer.
    """
    place = Place(repo_id, branch)
    before = hub.refs(repo_id).branches.get(branch)
    if before is None:
        raise UnknownReleaseError(f"{repo_id} at {hub.endpoint} has no branch {branch}.")
    release = _release(hub, repo_id, to)
    wanted, tree = _owned(hub.tree(repo_id, release)), _owned(hub.tree(repo_id, before))
    if PROVENANCE not in wanted:
        raise UnknownReleaseError(
            f"{to} of {repo_id} at {hub.endpoint} is no release: it has no {PROVENANCE}. Nothing "
            "was changed. Name the tag of a release."
        )
    commit = before if tree == wanted else _copy(hub, place, release, wanted, before, tree)
    return Rolled(
        repo_id=repo_id,
        branch=branch,
        to=to,
        release=release,
        before=before,
        commit=commit,
        commits=int(commit != before),
    )


def _release(hub: Hub, repo_id: str, to: str) -> str:
    """Return the commit of a release: a tag goes before a branch or a commit of that name."""
    tags = hub.refs(repo_id).tags
    if to in tags:
        return tags[to]
    try:
        return hub.resolve(repo_id, to)
    except UnknownRevisionError as error:
        known = ", ".join(sorted(tags)) or "none"
        raise UnknownReleaseError(
            f"{repo_id} at {hub.endpoint} has no release {to!r}. Nothing was changed. Its tags: "
            f"{known}."
        ) from error


def _copy(hub: Hub, place: Place, release: str, wanted: Tree, before: str, tree: Tree) -> str:
    operations: list[Operation] = [
        CommitOperationCopy(path, path, src_revision=release)
        for path in sorted(wanted)
        if tree.get(path) != wanted[path]
    ]
    operations += [
        CommitOperationDelete(path, is_folder=False) for path in sorted(tree.keys() - wanted.keys())
    ]
    try:
        commit = hub.commit(
            place.repo_id,
            place.branch,
            operations,
            parent=before,
            title=f"Roll back to {release[:7]}",
        )
    except (PublishError, HubUnreachableError) as error:
        commit = hub.refs(place.repo_id).branches[place.branch]
        if commit == before or _owned(hub.tree(place.repo_id, commit)) != wanted:
            if isinstance(error, StaleParentError):
                raise StaleParentError(
                    f"{place} at {hub.endpoint} was at {before} when this began and is at {commit} "
                    "now: somebody else wrote to it. Nothing was changed by this. Look at it, and "
                    "run again to roll that back."
                ) from error
            raise
    if _owned(hub.tree(place.repo_id, commit)) != wanted:
        raise PublishedDiffersError(
            f"{place} at {hub.endpoint} is at {commit}, but its files are not those of {release}. "
            "Roll back again; if that does not help, publish the release anew."
        )
    return commit


def _owned(tree: Tree) -> Tree:
    return {path: file for path, file in tree.items() if path != NOT_OURS}
