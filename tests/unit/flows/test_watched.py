"""Which repositories are watched, and by which recipe."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.errors import RecipeError
from flows.watched import answer_to, answers
from infra.errors import NotWatchedError
from tasks.tags import scope_of


def recipe(folder: Path, name: str, **sections: Any) -> str:
    """Write a recipe that publishes; return its file."""
    told = {
        "name": name,
        "model": {"source": "them/model"},
        "quantization": {"iters": 0},
        "export": {"output_dir": "out"},
        "publish": {"repo_id": f"me/{name}", "endpoint": "http://hub", "token": "block:hf"},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**told, **sections}))
    return str(path)


def test_the_models_repository_and_the_staging_one_are_watched(tmp_path: Path) -> None:
    """Each where it is: the model on the client's own Hub, candidates where they are published."""
    known = answers([recipe(tmp_path, "a", release={"staging": "me/staging"})], tmp_path)

    source, staging = known["them/model"].watched, known["me/staging"].watched
    assert (source.kind, source.endpoint, source.token) == ("source", None, "environment")
    assert (staging.kind, staging.endpoint, staging.token) == ("staging", "http://hub", "block:hf")
    assert scope_of(staging) == "http://hub"
    assert scope_of(source) == "https://huggingface.co"


def test_two_recipes_cannot_answer_to_one_repository(tmp_path: Path) -> None:
    """A tag has one meaning; the message names both recipes and the remedy."""
    both = [recipe(tmp_path, "a"), recipe(tmp_path, "b")]

    with pytest.raises(RecipeError, match=r"the recipe a both watch them/model.*Give each its own"):
        answers(both, tmp_path)


@pytest.mark.parametrize("sections", [{"publish": None}, {"model": {"source": "packaged:demo"}}])
def test_a_recipe_that_watches_nothing_is_refused(tmp_path: Path, sections: dict[str, Any]) -> None:
    """A service that could never do anything does not start."""
    with pytest.raises(RecipeError, match=r"watches no repository: a release needs a publish"):
        answers([recipe(tmp_path, "a", **sections)], tmp_path)


def test_a_repository_that_nobody_watches_is_named(tmp_path: Path) -> None:
    """With those that are, so that a misspelt one is seen."""
    with pytest.raises(NotWatchedError, match=r"tagged in me/modell; watched are them/model"):
        answer_to("me/modell", [recipe(tmp_path, "a")], tmp_path)
