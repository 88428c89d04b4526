"""The two deployments that release by tag: a watcher on a schedule, and a release on an event.

Registering them again changes nothing, so whoever starts the service registers them.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Interval
from prefect.types.entrypoint import EntrypointType

from flows.release import release_tag
from flows.watch import watch_tags
from tasks import events

RELEASE, WATCH = "on-tag", "every-5-minutes"
EVERY = timedelta(minutes=5)
TAGS = ["roundhouse"]
_FROM_EVENT = ("repo_id", "tag", "commit")


def release_deployments(
    recipes: Sequence[str], workspace: Path, *, every: timedelta = EVERY
) -> tuple[RunnerDeployment, RunnerDeployment]:
    """Return ``release/on-tag`` with its automation, and ``watch-tags/every-5-minutes``.

    Args:
        recipes: Recipe files as absolute paths, or names of packaged recipes.
        workspace: Folder of this machine for the store, caches and servers.
        every: Time between two looks.
    """
    told = {"recipes": list(recipes), "workspace": str(workspace)}
    release = release_tag.to_deployment(
        RELEASE,
        parameters=told,
        triggers=[on_tag()],
        tags=TAGS,
        # Releases of one service share the accelerator: one runs, the others wait their turn.
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE
        ),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    watch = watch_tags.to_deployment(
        WATCH,
        parameters=told,
        schedules=[Interval(every, slug="watch-tags")],
        tags=TAGS,
        # A look that is still going on is as good as the next one.
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
        ),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    assert isinstance(release, RunnerDeployment)  # noqa: S101 -- coroutines only in an event loop
    assert isinstance(watch, RunnerDeployment)  # noqa: S101 -- as above
    return release, watch


def on_tag() -> DeploymentEventTrigger:
    """Return the automation: each announced tag starts one release, with what the event tells."""
    return DeploymentEventTrigger(
        name="release-on-tag",
        description="A tag asks for a release: start one, pinned to its commit.",
        expect={events.CREATED},
        match={"prefect.resource.id": f"{events.RESOURCE}.*"},
        parameters={
            name: {"__prefect_kind": "jinja", "template": f"{{{{ event.payload.{name} }}}}"}
            for name in _FROM_EVENT
        },
    )
