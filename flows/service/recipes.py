"""The recipes of a service, as its workers read them.

    workspace/service/recipes/NAME.yaml

Each is the recipe that was given, with absolute paths, and with the pool of this service where it
names none.  They are written when the service is started, so that a file that somebody is editing
is not read by a run in the middle of it; `roundhouse up` takes up what has changed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from flows import demonstration, recipefile
from flows.errors import RecipeError
from flows.recipe import Recipe
from flows.service.settings import folder
from flows.service.workers import WORKERS
from infra.files import write_atomically


class Served(NamedTuple):
    """A recipe of a service, and the file that its workers read."""

    recipe: Recipe
    path: Path


def serve_recipes(given: Sequence[str], workspace: Path) -> tuple[Served, ...]:
    """Write the recipes of a service, and return them; without any, the demo's.

    Raises:
        RecipeError: A recipe is not sound, or two are called the same.
        StorageError: The workspace cannot be written.
    """
    loaded = [_load(name, workspace) for name in given or (demonstration.NAME,)]
    names = [recipe.name for recipe in loaded]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RecipeError(
            f"Two recipes are called {twice[0]}. A service tells recipes apart by their name: "
            "change one of them."
        )
    served = tuple(Served(recipe, _path(workspace, recipe.name)) for recipe in loaded)
    for each in served:
        write_atomically(each.path, as_yaml(each.recipe).encode())
    return served


def on_pool(recipe: Recipe, pool: str) -> Recipe:
    """Return ``recipe`` with its work on ``pool``, unless it says where."""
    if "pool" in recipe.workers.model_fields_set:
        return recipe
    workers = recipe.workers.model_copy(update={"pool": pool})
    return recipe.model_copy(update={"workers": workers})


def as_yaml(recipe: Recipe) -> str:
    """Return a recipe as a file: what was set, in the order of the fields."""
    text: str = yaml.safe_dump(as_json(recipe), sort_keys=False, allow_unicode=True)
    return text


def as_json(recipe: Recipe) -> dict[str, object]:
    """Return a recipe as JSON has it, without what is a default anyway."""
    told: dict[str, object] = recipe.model_dump(mode="json", exclude_defaults=True)
    return told


def _load(name: str, workspace: Path) -> Recipe:
    """Return a recipe; the demo's has its places in the workspace."""
    if name == demonstration.NAME:
        return on_pool(demonstration.demo_recipe(workspace), WORKERS)
    return on_pool(recipefile.load(name), WORKERS)


def _path(workspace: Path, name: str) -> Path:
    return folder(workspace) / "recipes" / f"{name}.yaml"
