"""Publish a release: read this file first.

    look      nothing is written while anything is unclear: foreign files, moved tags, a bad card
    1 branch  auto_gptq, from the root commit              nobody reads it by default
    2 put     the GPTQ checkpoint and its papers           one commit
    3 tag     vX-auto_gptq                                 keeps it reachable, and never moves
    4 put     the auto_round checkpoint and the card,      one commit, the only one that readers of
              which names the GPTQ commit                  main see: both change together
    5 tag     vX                                           announces the release
    verify    by the Hub's digests, and by reading back under the digits that the card names

Whatever kills it, and wherever: main, every tag and the revision that a card names are complete.
A second run finds what is there and does the rest; one more finds it all, and makes no commit.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from infra.errors import HubUnreachableError, PublishedDiffersError, PublishError
from infra.publishing.drafts import Draft, gptq_draft, main_draft, not_there_yet
from infra.publishing.hub import Hub, Refs
from infra.publishing.looking import is_there, look, tagged
from infra.publishing.manifest import Known
from infra.publishing.ownership import CARD
from infra.publishing.papers import Papers
from infra.publishing.pinned import Pinned
from infra.publishing.published import Content, Published
from infra.publishing.put import put
from infra.publishing.refs import create_tag, ensure_branch, pin
from infra.publishing.signing import Signer
from infra.publishing.target import Target

READ_BACK = ("config.json", CARD)


class Press(NamedTuple):
    """What every step needs."""

    hub: Hub
    signer: Signer | None
    say: Callable[[str], None]


class Brought(NamedTuple):
    """A revision that is on the Hub."""

    pinned: Pinned
    commits: int  # made for it: none or one


def publish(
    hub: Hub,
    target: Target,
    content: Content,
    papers: Papers,
    *,
    signer: Signer | None,
    say: Callable[[str], None],
) -> Published:
    """Publish a release, or find that it is published.

    Args:
        hub: Where to.
        target: The repository and the names.
        content: The two exports; nobody may write to them meanwhile.
        papers: What the release says about itself.
        signer: Signs both revisions; None to publish without signatures.
        say: Is told what happens, a sentence at a time.

    Raises:
        NotAnExportError: A folder is no export, or there is no card.
        ForeignRepositoryError: The repository holds what no release of this model put there.
        TagMovedError: The version is taken by other files.
        StaleParentError: Somebody else wrote to a branch meanwhile.
        PublishError: The Hub refuses, or something cannot be published; a class below it says what.
        HubUnreachableError: The Hub does not answer.  Running again goes on where this ended.
        StorageError: A file cannot be read.
    """
    press, known = Press(hub, signer, say), Known()
    gptq = gptq_draft(target, content, papers, known)
    sketch = main_draft(target, content, papers, not_there_yet(target), known)
    seen = {
        repo_id: refs or _make_repository(press, repo_id, private=target.private)
        for repo_id, refs in look(hub, target, gptq, sketch, signer).items()
    }
    side = _bring(press, gptq, seen)
    main = _bring(press, main_draft(target, content, papers, side.pinned, known), seen)
    return _published(press, target, main, side)


def _published(press: Press, target: Target, main: Brought, gptq: Brought) -> Published:
    return Published(
        endpoint=press.hub.endpoint,
        repo_id=target.repo_id,
        version=target.version,
        main=main.pinned,
        gptq=gptq.pinned,
        commits=gptq.commits + main.commits,
        signed=press.signer is not None,
    )


def _make_repository(press: Press, repo_id: str, *, private: bool) -> Refs:
    """Make a repository; where the answer is lost, what is there counts.

    It is looked at in any case: the Hub is content if somebody else has just made it, in public.
    """
    try:
        press.hub.create(repo_id, private=private)
    except (PublishError, HubUnreachableError):
        if not is_there(press.hub, repo_id, private=private):
            raise
    else:
        is_there(press.hub, repo_id, private=private)
    press.say(f"{repo_id}: made, {'private' if private else 'public'}")
    return press.hub.refs(repo_id)


def _bring(press: Press, draft: Draft, seen: Mapping[str, Refs]) -> Brought:
    """Have a revision and its tag on the Hub, and see that it can be read by its short name.

    The branch is written to only if it still is where it was looked at.
    """
    place, hub, refs = draft.place, press.hub, seen[draft.place.repo_id]
    commit, commits = tagged(hub, draft, press.signer, refs), 0
    if commit is None:
        head = ensure_branch(hub, place.repo_id, place.branch, refs)
        commit, commits = put(hub, place, head, draft.files, title=draft.title, signer=press.signer)
        create_tag(hub, place.repo_id, draft.tag, commit)
    pinned = pin(hub, place.repo_id, commit, tag=draft.tag)
    for path in READ_BACK:
        _require_readable(hub, pinned, draft, path)
    how = "published" if commits else "there already"
    press.say(f"{draft.tag}: {how}, {pinned.short} on {place}")
    now = refs.branches.get(place.branch, "nothing")
    if not commits and now != commit:
        press.say(f"{place} itself has moved on: it is at {now[:7]}")
    return Brought(pinned, commits)


def _require_readable(hub: Hub, pinned: Pinned, draft: Draft, path: str) -> None:
    """Require that a file is what it must be when it is read as a reader of the card will.

    Raises:
        PublishedDiffersError: It is not.
    """
    if path not in draft.files:
        return
    found = hub.read(pinned.repo_id, pinned.short, path)
    if hashlib.sha256(found).hexdigest() != draft.files[path].sha256:
        raise PublishedDiffersError(
            f"{path} of {pinned.repo_id} at {hub.endpoint}, read by the revision {pinned.short}, "
            f"is not what was published in {pinned.commit}. Something between here and the Hub "
            "answers with other content: look at the revision there before it is used."
        )
