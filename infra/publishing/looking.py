"""Everything that can be known before the first write: whoever is refused has changed nothing."""

from infra.checkpoints.sidefiles import SIGNATURE
from infra.errors import PublicRepositoryError, TagMovedError
from infra.publishing.drafts import Draft
from infra.publishing.hub import Hub, Refs
from infra.publishing.manifest import bytes_of, differences, without
from infra.publishing.ownership import CARD, require_ours
from infra.publishing.put import holds, shown
from infra.publishing.signing import Signer
from infra.publishing.target import Target


def look(
    hub: Hub, target: Target, gptq: Draft, main: Draft, signer: Signer | None
) -> dict[str, Refs | None]:
    """Refuse what must not be published, and return what is there by repository.

    Args:
        hub: Where to publish.
        target: The repository and the names.
        gptq: The GPTQ revision.
        main: The auto_round revision; its card may name a commit that is not there yet.
        signer: Who signs.

    Returns:
        The branches and tags of each repository, for what was looked at is what may be replaced;
        None where the repository is to be made.

    Raises:
        PublicRepositoryError: A release that is to be private would become public.
        ForeignRepositoryError: A branch holds what no release of this model put there.
        TagMovedError: The version is taken by other files.
        CardRefusedError: The Hub does not take a card's metadata.
        PublishError: The Hub refuses; a class below it says why.
        HubUnreachableError: It does not answer.
    """
    seen = {
        repo_id: hub.refs(repo_id) if is_there(hub, repo_id, private=target.private) else None
        for repo_id in target.repositories
    }
    refs = {repo_id: there or Refs({}, {}) for repo_id, there in seen.items()}
    for draft in (gptq, main):
        if head := refs[draft.place.repo_id].branches.get(draft.place.branch):
            require_ours(hub, draft.place, head, draft.files)
    finished = tagged(hub, gptq, signer, refs[gptq.place.repo_id]) is not None
    announced = main.tag in refs[main.place.repo_id].tags
    if announced and not finished:
        raise _half_there(hub, main, gptq)
    for draft, there in ((gptq, finished), (main, announced)):
        if not there:
            _check_card(hub, draft)
    return seen


def tagged(hub: Hub, draft: Draft, signer: Signer | None, refs: Refs) -> str | None:
    """Return the commit of a draft's tag; None if there is no such tag.

    Raises:
        TagMovedError: The tag is on other files.
        PublishError: The Hub refuses.
        HubUnreachableError: It does not answer.
    """
    place = draft.place
    commit = refs.tags.get(draft.tag)
    if commit is None:
        return None
    tree = hub.tree(place.repo_id, commit)
    if holds(hub, place.repo_id, commit, tree, draft.files, signer):
        return commit
    unsigned = {path: file for path, file in tree.items() if path != SIGNATURE}
    found = differences(without(draft.files, SIGNATURE), unsigned)
    raise TagMovedError(
        f"The tag {draft.tag} of {place.repo_id} at {hub.endpoint} is on {commit}, which is not "
        f"what was to be published: {shown(found) or 'it has no signature by this key'}. Nothing "
        "was changed. A tag of a release never moves, for others have pinned it: raise the version "
        "and publish under that."
    )


def _half_there(hub: Hub, main: Draft, gptq: Draft) -> TagMovedError:
    return TagMovedError(
        f"The tag {main.tag} of {main.place.repo_id} at {hub.endpoint} is there, but {gptq.tag} of "
        f"{gptq.place.repo_id} is not: the version was published in another layout, or a tag was "
        "deleted. Nothing was changed. Raise the version."
    )


def _check_card(hub: Hub, draft: Draft) -> None:
    card = bytes_of(draft.files[CARD]).decode(errors="replace")
    hub.check_card(draft.place.repo_id, card)


def is_there(hub: Hub, repo_id: str, *, private: bool) -> bool:
    """Tell whether there is a repository, and refuse one that would show what is to be private.

    Raises:
        PublicRepositoryError: It is public, and the release is not to be.
        PublishError: The Hub refuses.
        HubUnreachableError: It does not answer.
    """
    found = hub.is_private(repo_id)
    if private and found is False:
        raise PublicRepositoryError(
            f"{repo_id} at {hub.endpoint} is public, and the release is to be private. Nothing was "
            f"changed. Make the repository private at {hub.endpoint}/{repo_id}/settings, or say "
            "private: false."
        )
    return found is not None
