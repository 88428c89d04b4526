"""Find the model and pin it: a revision becomes a commit once, and is used everywhere."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from infra.models.finding import find
from infra.models.source import ModelSource
from infra.store import Place
from tasks.policies import NETWORK_BACKOFF, network_trouble


@task(
    task_run_name="resolve {model}",
    retries=len(NETWORK_BACKOFF),
    retry_delay_seconds=NETWORK_BACKOFF,
    retry_condition_fn=network_trouble,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def resolve_model(model: str, revision: str | None, place: Place) -> ModelSource:
    """Return the model's folder or bucket, its commit and the digest of its files.

    Raises:
        InfraError: There is no such model or revision, or its files are not sound.
    """
    return find(model, revision, place)
