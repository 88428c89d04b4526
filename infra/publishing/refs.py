"""Branches and tags: made once, and never moved.

A lost answer is no failure: after every error the Hub is asked again, and what is there counts.
"""

from infra.errors import HubUnreachableError, PublishError, TagMovedError
from infra.publishing.hub import Hub, Refs
from infra.publishing.pinned import SHORT_DIGITS, Pinned

DEFAULT_BRANCH = "main"  # every repository has it, from its first commit on


def refs_of(hub: Hub, repo_id: str) -> Refs:
    """Return where each branch and each tag of a repository is.

    Raises:
        PublishError: The Hub refuses; a class below it says why.
        HubUnreachableError: It does not answer.
    """
    return hub.refs(repo_id)


def create_tag(hub: Hub, repo_id: str, name: str, commit: str) -> None:
    """Set a tag, or find that it is where it must be.

    The client's own ``exist_ok`` would leave a tag on another commit and say nothing.

    Args:
        hub: Where the repository is.
        repo_id: The repository.
        name: The tag.
        commit: The 40 digits of its commit.

    Raises:
        TagMovedError: It is on another commit.
        PublishError: The Hub refuses.
        HubUnreachableError: It does not answer.
    """
    try:
        hub.tag(repo_id, name, commit)
    except (PublishError, HubUnreachableError):
        there = hub.refs(repo_id).tags.get(name)
        if there is None:
            raise
    else:
        there = hub.refs(repo_id).tags.get(name)
    if there != commit:
        raise TagMovedError(
            f"The tag {name} of {repo_id} at {hub.endpoint} is on {there}, and was to be set on "
            f"{commit}. A tag of a release never moves, for others have pinned it: raise the "
            "version and publish under that."
        )


def ensure_branch(hub: Hub, repo_id: str, name: str, refs: Refs) -> str:
    """Return the head of a branch, made from the root commit of the repository if it is not there.

    From the root, and not from a head, so that its history is that of its own format alone.

    Raises:
        PublishError: The Hub refuses.
        HubUnreachableError: It does not answer.
    """
    if name in refs.branches:
        return refs.branches[name]
    root = hub.commits(repo_id, DEFAULT_BRANCH)[-1]
    try:
        hub.branch(repo_id, name, root)
    except (PublishError, HubUnreachableError):
        if hub.refs(repo_id).branches.get(name) != root:  # not ours whose answer was lost
            raise
    return root


def pin(hub: Hub, repo_id: str, commit: str, *, tag: str) -> Pinned:
    """Return a commit with the digits that people use: unique among all that the names lead to.

    Raises:
        PublishError: The Hub refuses.
        HubUnreachableError: It does not answer.
    """
    refs = hub.refs(repo_id)
    others = {*refs.tags.values()}
    for branch in refs.branches:
        others |= {*hub.commits(repo_id, branch)}
    names = {*refs.branches, *refs.tags}
    digits = SHORT_DIGITS
    while digits < len(commit) and (
        commit[:digits] in names
        or any(other.startswith(commit[:digits]) for other in others - {commit})
    ):
        digits += 1
    return Pinned(repo_id=repo_id, commit=commit, short=commit[:digits], tag=tag)
