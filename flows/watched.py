"""Which repositories are watched, and which recipe answers to each."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flows import recipefile
from flows.endpoint import at_its_hub
from flows.errors import RecipeError
from flows.recipe import Recipe, WatchedAs
from infra.errors import NotWatchedError
from infra.store import Place
from tasks.tags import Watched


class Answer(NamedTuple):
    """A watched repository, and the recipe that a tag there starts."""

    watched: Watched
    recipe: Recipe
    place: Place

    @property
    def where(self) -> tuple[Watched, Place]:
        """What is looked at, and where it is on record what was seen."""
        return self.watched, self.place


def answers(recipes: Sequence[str], workspace: Path) -> dict[str, Answer]:
    """Return by repository what a tag there starts.

    Args:
        recipes: Recipe files, or names of packaged recipes.
        workspace: Folder of this machine for the store, caches and servers.

    Raises:
        ServerError: A recipe wants the workspace's own Hub, and it does not start.
        RecipeError: A recipe is not sound or watches nothing, or two watch one repository.
    """
    found: dict[str, Answer] = {}
    for name in recipes:
        loaded = recipefile.load(name)
        if not loaded.watched:
            raise RecipeError(
                f"{name} watches no repository: a release needs a publish section, and a model on "
                "the Hub, release.source or release.staging."
            )
        recipe = at_its_hub(loaded, workspace)
        for repo_id, kind in recipe.watched.items():
            if repo_id in found:
                raise RecipeError(
                    f"{name} and the recipe {found[repo_id].recipe.name} both watch {repo_id}, so "
                    "a tag there would have two meanings. Give each its own release.source or "
                    "release.staging."
                )
            found[repo_id] = Answer(watched_by(recipe, repo_id, kind), recipe, recipe.at(workspace))
    return found


def watched_by(recipe: Recipe, repo_id: str, kind: WatchedAs) -> Watched:
    """Return how a recipe watches a repository: candidates are on the Hub that is published to."""
    publish = recipe.publish
    assert publish is not None  # noqa: S101 -- a recipe without it watches nothing
    return Watched(
        repo_id=repo_id,
        kind=kind,
        pattern=recipe.release.pattern,
        endpoint=publish.endpoint if kind == "staging" else None,
        token=publish.token if kind == "staging" else "environment",
    )


def answer_to(repo_id: str, recipes: Sequence[str], workspace: Path) -> Answer:
    """Return what a tag of ``repo_id`` starts.

    Raises:
        NotWatchedError: No recipe watches it.
        RecipeError: As `answers`.
    """
    known = answers(recipes, workspace)
    if repo_id not in known:
        raise NotWatchedError(
            f"No recipe releases what is tagged in {repo_id}; watched are {', '.join(known)}. "
            "Name the repository in a recipe's release.source or release.staging."
        )
    return known[repo_id]
