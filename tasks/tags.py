"""Look at the tags of watched repositories, and announce each that asks for a release, once."""

from typing import Literal

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from infra.errors import TriggerMovedError, UnknownRepositoryError
from infra.publishing.hub import Hub, endpoint_of, open_hub
from infra.store import Place, open_store
from infra.triggers.key import TagKey
from infra.triggers.ledger import Ledger
from infra.triggers.looking import look
from infra.triggers.pattern import TagPattern
from tasks import credentials, events
from tasks.policies import NETWORK_BACKOFF, network_trouble
from tasks.progress import say
from tasks.specs import Spec


class Watched(Spec):
    """A repository whose tags start releases."""

    repo_id: str = Field(description="The repository, as in owner/name.")
    kind: Literal["source", "staging"] = Field(description="What a tag names there.")
    pattern: str = Field(description="Tags that count, with one star for the version.")
    endpoint: str | None = Field(description="Address of its Hub; None: the client's own.")
    token: str = Field(description="Where the token that reads it is found.")


class Looked(Spec):
    """What one look at a repository has shown."""

    announced: tuple[TagKey, ...] = Field(description="Tags that were announced.")
    refused: tuple[str, ...] = Field(description="Tags that have moved, in words.")


def scope_of(watched: Watched) -> str:
    """Return which Hub a repository is on: the same name elsewhere is another repository."""
    return endpoint_of(watched.endpoint)


def look_and_announce(watched: Watched, place: Place) -> Looked:
    """Read a repository's tags from its Hub, and announce what was not announced before.

    Announcing comes before the record of it: a crash in between announces again, under the same
    event id, and the release knows its key.

    Raises:
        InfraError: The Hub or the store refuses, or does not answer.
        PrefectHTTPStatusError: Prefect's server refuses an event.
    """
    hub = open_hub(watched.endpoint, credentials.token(watched.token, required=False))
    ledger = Ledger(open_store(place), scope_of(watched))
    tags = _tags(hub, watched)
    seen = look(watched.repo_id, tags, TagPattern.parse(watched.pattern), ledger)
    for key in seen.new:
        events.post(events.created(key))
        ledger.announced(key)
        say(f"{key.words}: announced")
    for tag in seen.moved:
        events.post(events.moved(tag))
        ledger.announced(tag.key)
        say(tag.words)
    return Looked(announced=seen.new, refused=tuple(tag.words for tag in seen.moved))


def _tags(hub: Hub, watched: Watched) -> dict[str, str]:
    """Return where the tags are; a staging repository begins with its first candidate."""
    try:
        return hub.refs(watched.repo_id).tags
    except UnknownRepositoryError:
        if watched.kind == "source":
            raise
        say(f"{watched.repo_id}: no candidate has been published there yet")
        return {}


@task(
    task_run_name="look at the tags of {watched.repo_id}",
    retries=len(NETWORK_BACKOFF),
    retry_delay_seconds=NETWORK_BACKOFF,
    retry_condition_fn=network_trouble,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def look_for_tags(watched: Watched, place: Place) -> Looked:
    """Run `look_and_announce` as a step, again where the network fails."""
    return look_and_announce(watched, place)


@task(
    task_run_name="make sure that {key.tag} is still at {key.commit}",
    retries=len(NETWORK_BACKOFF),
    retry_delay_seconds=NETWORK_BACKOFF,
    retry_condition_fn=network_trouble,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def confirm_tag(watched: Watched, key: TagKey, place: Place) -> None:
    """Require that the tag is where it was announced to be, and has been all the time.

    Raises:
        TriggerMovedError: It is gone, or names another commit than at first sight or now.
        InfraError: The Hub or the store refuses, or does not answer.
    """
    hub = open_hub(watched.endpoint, credentials.token(watched.token, required=False))
    now = hub.refs(key.repo_id).tags.get(key.tag)
    first = Ledger(open_store(place), scope_of(watched)).first_commit(key)
    if now == first == key.commit:
        return
    where = "gone" if now is None else f"at {now[:7]}"
    raise TriggerMovedError(
        f"The release of {key.words} is refused: the tag is {where} now, and was at {first[:7]} "
        "when it was first seen. Set a new tag on the commit that is meant."
    )
