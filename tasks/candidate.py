"""Take a tagged candidate from its staging repository, and make sure of it as of a fresh export."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from infra.card.facts import ReleaseFacts
from infra.checkpoints import inspect
from infra.models.loading import keys_of
from infra.promotion.candidate import fetch
from infra.publishing.hub import open_hub
from infra.publishing.published import Content
from tasks import credentials
from tasks.policies import NETWORK_BACKOFF, network_trouble
from tasks.reader import open_export
from tasks.specs import Spec, key_problems


class CandidateRequest(Spec):
    """Which candidate is meant."""

    endpoint: str | None = Field(description="Address of its Hub; None: the client's own.")
    repo_id: str = Field(description="The staging repository.")
    commit: str = Field(description="The 40 digits of the tagged commit.")
    token: str = Field(description="Where the token that reads it is found.")
    folder: Path = Field(description="Where its files go.")


class FetchedCandidate(Spec):
    """A candidate on this machine."""

    content: Content = Field(description="Its two exports.")
    facts: ReleaseFacts = Field(description="What is known of it.")


@task(
    task_run_name="fetch the candidate {request.repo_id}",
    retries=len(NETWORK_BACKOFF),
    retry_delay_seconds=NETWORK_BACKOFF,
    retry_condition_fn=network_trouble,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def fetch_candidate(request: CandidateRequest) -> FetchedCandidate:
    """Download a candidate, and take its two exports out of what was published.

    Raises:
        CandidateError: The commit is no candidate, or its pair does not fit together.
        InfraError: The Hub or the disk refuses.
    """
    hub = open_hub(request.endpoint, credentials.token(request.token, required=False))
    found = fetch(hub, request.repo_id, request.commit, request.folder)
    content = Content(auto_round=found.auto_round, auto_gptq=found.auto_gptq)
    return FetchedCandidate(content=content, facts=found.facts)


@task(task_run_name="verify the candidate", cache_policy=NO_CACHE, persist_result=False)
def verify_candidate(content: Content) -> tuple[str, ...]:
    """Read both exports back; return all that is wrong with them, in words.

    What was learned is not at hand, so codes are not compared; names, digests, packed layers and
    keys are, and the evaluation that follows reads every weight.
    """
    return tuple(
        f"{kind}: {problem}"
        for kind, folder in (("auto_round", content.auto_round), ("auto_gptq", content.auto_gptq))
        for problem in _problems(folder)
    )


def _problems(folder: Path) -> tuple[str, ...]:
    papers = inspect(folder)
    if not (papers.files_agree and papers.modules_agree):
        return papers.problems
    tensors = open_export(folder)
    keys = keys_of(folder, {name: tensors.shape(name) for name in tensors.names})
    return (*papers.problems, *key_problems(*keys))
