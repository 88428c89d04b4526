"""Look for new tags on the watched repositories: what runs every few minutes.

A webhook is faster, and can be lost; a look is slower, and loses nothing.  Both announce the same
event, once.
"""

from pathlib import Path

from prefect import flow
from pydantic import Field

from flows.watched import answers
from tasks.specs import Spec
from tasks.tags import Looked, look_for_tags

PATIENCE_SECONDS = 240.0  # less than the time between two looks


class WatchReport(Spec):
    """What one round has shown."""

    repositories: dict[str, Looked] = Field(description="What was seen, by repository.")

    @property
    def refused(self) -> tuple[str, ...]:
        """All tags that have moved, in words."""
        return tuple(words for each in self.repositories.values() for words in each.refused)


@flow(
    name="watch-tags",
    flow_run_name="look for tags",
    persist_result=False,
    # One that hangs would hold the only slot, and nobody would look any more.
    timeout_seconds=PATIENCE_SECONDS,
)
def watch_tags(recipes: tuple[str, ...], workspace: Path) -> WatchReport:
    """Look once at each repository that the recipes watch, and announce new tags.

    A repository that cannot be looked at does not keep the others from being looked at; the run
    fails at its end.

    Args:
        recipes: Recipe files, or names of packaged recipes.
        workspace: Folder of this machine for the store, caches and servers.

    Raises:
        RecipeError: A recipe is not sound.
        InfraError: A repository or the store refuses.
    """
    looks = {
        repo_id: look_for_tags.submit(*each.where)
        for repo_id, each in answers(recipes, workspace).items()
    }
    for look in looks.values():
        look.wait()
    return WatchReport(repositories={repo_id: look.result() for repo_id, look in looks.items()})
