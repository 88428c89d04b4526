"""A service's own `prefect.yaml`: its recipes, its workspace, its schedule, and nothing undone."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import recipefile
from flows.errors import RecipeError
from flows.service import recipes, rendering
from flows.service.recipes import Served, serve_recipes
from flows.service.rendering import Told, render

OTHER = {
    "name": "other",
    "model": {"source": "acme/demo"},
    "quantization": {"iters": 0},
    "export": {"output_dir": "out"},
    "publish": {"repo_id": "acme/demo-int4"},
}


@pytest.fixture
def served(tmp_path: Path) -> tuple[Served, ...]:
    """Return the demo, which watches nothing, and a recipe that watches a repository."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(OTHER), encoding="utf-8")
    return serve_recipes(["demo", str(path)], tmp_path / "workspace")


def by_entrypoint(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return deployments by what they run."""
    return {each["entrypoint"].partition(":")[2]: each for each in document["deployments"]}


def test_recipes_workspace_and_schedule_are_filled_in(
    served: tuple[Served, ...], tmp_path: Path
) -> None:
    """The first recipe is in the form; only those that watch something are watched."""
    told = by_entrypoint(render(Told(served, tmp_path, "0 2 * * 6")))

    paths = [str(each.path) for each in served]
    assert told["quantize_scheduled"]["parameters"]["recipes"] == paths
    assert told["quantize_scheduled"]["schedules"][0]["cron"] == "0 2 * * 6"
    assert told["quantize_model"]["parameters"]["recipe"]["name"] == "demo"
    assert told["watch_tags"]["parameters"]["recipes"] == paths[1:]
    assert told["release_tag"]["parameters"]["recipes"] == paths[1:]
    assert {each["parameters"]["workspace"] for each in told.values() if "parameters" in each} == {
        str(tmp_path)
    }
    assert "ROUNDHOUSE_" not in yaml.safe_dump(list(told.values()))


def test_without_a_cron_or_something_to_watch_there_is_no_schedule(
    served: tuple[Served, ...], tmp_path: Path
) -> None:
    """A run every five minutes that looks at nothing would only fill the pages."""
    told = by_entrypoint(render(Told(served[:1], tmp_path, None)))

    assert [each["schedules"] for each in told.values()] == [[]] * len(told)


def test_what_a_person_has_paused_stays_paused(served: tuple[Served, ...], tmp_path: Path) -> None:
    """Of schedules and of automations; what is new is as the file says."""
    document = render(Told(served, tmp_path, "0 2 * * 6"))
    document = rendering.with_activity(document, {"quantize": False})
    document = rendering.with_triggers(document, {"release-on-tag": False})
    told = by_entrypoint(document)

    assert told["quantize_scheduled"]["schedules"][0]["active"] is False
    assert told["watch_tags"]["schedules"][0]["active"] is True
    assert told["release_tag"]["triggers"][0]["enabled"] is False


def test_a_served_recipe_is_the_recipe_with_a_pool(
    served: tuple[Served, ...], tmp_path: Path
) -> None:
    """Workers read the same values; a pool that the recipe names, or refuses, is left alone."""
    read = recipefile.load(str(served[1].path))

    assert read == served[1].recipe
    assert read.workers.pool == "gpu"
    assert read.export.output_dir == tmp_path / "out"
    inline = recipefile.check(OTHER | {"workers": {"pool": None}}, "here")
    assert recipes.on_pool(inline, "gpu").workers.pool is None


def test_two_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    """One would overwrite the other."""
    with pytest.raises(RecipeError, match="Two recipes are called demo"):
        serve_recipes(["demo", "demo"], tmp_path)
