"""Push a release to the Hub, or go back to an earlier one; the token is fetched here, inside."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from infra.card.facts import ReleaseFacts
from infra.card.papers import CardPapers
from infra.publishing.hub import open_hub
from infra.publishing.publish import publish
from infra.publishing.published import Content, Published
from infra.publishing.rights import require_rights
from infra.publishing.rollback import Rolled, rollback
from infra.publishing.signing import open_signer
from infra.publishing.target import Target
from infra.store import ArtifactRef, Place, open_store
from tasks import credentials
from tasks.policies import NETWORK_BACKOFF, network_trouble
from tasks.progress import say
from tasks.specs import Spec


class PushRequest(Spec):
    """A release that is to be published."""

    target: Target = Field(description="The repository and the names.")
    content: Content = Field(description="The two exports.")
    facts: ReleaseFacts = Field(description="What the card tells.")
    pictures: dict[str, ArtifactRef] = Field(
        description="Pictures of the card, by their path in the repository."
    )
    signing_key: Path | None = Field(description="Private key that signs; None: unsigned.")
    token: str = Field(description="Where the token is found; never the token itself.")
    place: Place = Field(description="Where work is kept, and found again.")


class RollbackRequest(Spec):
    """A branch that is to be what an earlier release was."""

    endpoint: str | None = Field(description="Address of the Hub; None: the client's own.")
    repo_id: str = Field(description="The repository.")
    to: str = Field(description="The release: its tag, or a commit.")
    branch: str = Field(description="The branch.")
    token: str = Field(description="Where the token is found; never the token itself.")


@task(
    task_run_name="make sure that {target.repo_id} can be published to",
    retries=len(NETWORK_BACKOFF),
    retry_delay_seconds=NETWORK_BACKOFF,
    retry_condition_fn=network_trouble,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def look_at_target(target: Target, token: str, signing_key: Path | None) -> None:
    """Refuse at once what would otherwise be refused when the work is done.

    Args:
        target: Where the release is to go.
        token: Where the token is found; never the token itself.
        signing_key: Private key that is to sign it; None: unsigned.

    Raises:
        PublishError: There is no token, or the Hub does not let it write; a class below says more.
        HubUnreachableError: The Hub does not answer, after the last retry too.
        InfraError: The key cannot be read.
    """
    if signing_key is not None:
        open_signer(signing_key)
    hub = open_hub(target.endpoint, credentials.token(token))
    for sentence in require_rights(hub, target):
        say(sentence)


@task(
    task_run_name="push {request.target.version} to {request.target.repo_id}",
    retries=len(NETWORK_BACKOFF),
    retry_delay_seconds=NETWORK_BACKOFF,
    retry_condition_fn=network_trouble,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def push_release(request: PushRequest) -> Published:
    """Publish both formats with their card under the version's tags, or find them published.

    Nothing is remembered here: what the Hub holds is looked at each time, and counts.

    Raises:
        PublishError: The Hub refuses; the message says what is there now.
        HubUnreachableError: The Hub does not answer, after the last retry too.
        InfraError: An export, a picture or the disk refuses.
    """
    signer = open_signer(request.signing_key) if request.signing_key else None
    store = open_store(request.place)
    pictures = {path: store.open(ref).read_bytes() for path, ref in request.pictures.items()}
    return publish(
        open_hub(request.target.endpoint, credentials.token(request.token)),
        request.target,
        request.content,
        CardPapers(request.facts, pictures),
        signer=signer,
        say=say,
    )


@task(
    task_run_name="roll {request.repo_id} back to {request.to}",
    retries=len(NETWORK_BACKOFF),
    retry_delay_seconds=NETWORK_BACKOFF,
    retry_condition_fn=network_trouble,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def rollback_release(request: RollbackRequest) -> Rolled:
    """Give a branch the files of an earlier release, in one commit and without an upload.

    Raises:
        PublishError: The Hub refuses, or there is no such release.
        HubUnreachableError: The Hub does not answer, after the last retry too.
    """
    hub = open_hub(request.endpoint, credentials.token(request.token))
    return rollback(hub, request.repo_id, request.to, branch=request.branch)
