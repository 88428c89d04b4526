"""The recipe beside a release can be run again, and names nobody's folders."""

from pathlib import Path

import pytest
import yaml

from flows import recipefile
from flows.portable import local_files, model_name, portable_recipe, short_names
from flows.recipe import Recipe

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def recipe_in(folder: Path, *overrides: str) -> Recipe:
    """Return the demo recipe with all its files in ``folder``."""
    places = (
        f"calibration.pile.source={folder}/texts/rows.jsonl",
        f"calibration.llava.source={folder}/chats/rows.json",
        f"evaluation.text.source={folder}/held_out/rows.jsonl",
        f"benchmarks.source={folder}/tables",
        f"export.output_dir={folder}/out",
    )
    return recipefile.load("demo", (*places, *overrides))


def written(recipe: Recipe, folder: Path) -> Path:
    """Write the portable recipe into a folder of its own."""
    told = portable_recipe(recipe, None, {})
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")
    return path


def test_it_is_read_again_and_is_the_same_recipe(tmp_path: Path) -> None:
    """But for its paths, which are beside the file then."""
    recipe = recipe_in(Path("/data"))

    again = recipefile.load(str(written(recipe, tmp_path)))

    there = recipefile.load("demo", [
        f"calibration.pile.source={tmp_path}/texts/rows.jsonl",
        f"calibration.llava.source={tmp_path}/rows.json",
        f"evaluation.text.source={tmp_path}/held_out/rows.jsonl",
        f"benchmarks.source={tmp_path}/tables",
        f"export.output_dir={tmp_path}/out",
        "publish=null",
    ])  # fmt: skip
    missing = {"calibration", "evaluation", "benchmarks"}  # not here, so taken for ids of the Hub
    assert again.model_copy(update=dict.fromkeys(missing)) == there.model_copy(
        update=dict.fromkeys(missing)
    )
    for name in ("texts/rows.jsonl", "rows.json", "held_out/rows.jsonl", "tables"):
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        place.touch()
    assert recipefile.load(str(tmp_path / "recipe.yaml")) == there


def test_it_names_no_machine(tmp_path: Path) -> None:
    """Neither in a path nor anywhere else."""
    told = str(portable_recipe(recipe_in(tmp_path / "secret"), None, {}))

    assert str(tmp_path) not in told
    assert "secret" not in told


def test_it_names_no_bucket_and_no_pool() -> None:
    """Where work is kept, and who does it, are somebody's own affair."""
    recipe = recipe_in(
        Path("/data"),
        "model.source=s3://private/models/qwen",
        "store.uri=s3://private/store",
        "store.endpoint=http://s3.lan",
        "workers.pool=gpu",
    )

    told = portable_recipe(recipe, None, {})

    assert told["model"]["source"] == "qwen"
    assert not {"store", "workers"} & told.keys()
    assert "private" not in str(told)
    assert "qwen" in local_files(recipe)


def test_it_does_not_say_where_the_release_goes() -> None:
    """Whoever makes it again wants it elsewhere, and has another token."""
    recipe = recipe_in(Path("/data"), "publish.repo_id=a/b", "publish.token=block:mine")

    assert not {"publish", "release"} & portable_recipe(recipe, None, {}).keys()


def test_revisions_are_commits() -> None:
    """A branch would be another one next year."""
    recipe = recipefile.load("qwen2-vl-7b-instruct")
    told = portable_recipe(recipe, COMMIT, {"pile": None, "llava": "a" * 40, "held-out": "b" * 40})

    assert told["model"]["revision"] == COMMIT
    assert told["calibration"][0]["revision"] == recipe.calibration[0].revision
    assert told["calibration"][1]["revision"] == "a" * 40
    assert told["evaluation"]["text"]["revision"] == "b" * 40


def test_local_files_are_those_that_the_recipe_needs() -> None:
    """What a run writes is not among them."""
    assert local_files(recipe_in(Path("/data"))) == (
        "held_out/rows.jsonl",
        "rows.json",
        "tables",
        "texts/rows.jsonl",
    )
    assert local_files(recipefile.load("demo", ["model.source=/data/m"]))[-1] == "m"


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/x", "/b/y"], ["x", "y"]),
        (["/a/x", "/b/x"], ["a/x", "b/x"]),
        (["/a/c/x", "/b/c/x", "/d/y"], ["a/c/x", "b/c/x", "y"]),
        (["/c/x", "/b/c/x"], ["c/x", "b/c/x"]),
        (["/a/x", "/a/x"], ["x"]),
        (["/x"], ["x"]),
    ],
)
def test_names_are_as_short_as_they_can_be(paths: list[str], names: list[str]) -> None:
    """And tell the files apart."""
    assert list(short_names(paths).values()) == names


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("packaged:demo", "packaged:demo"),
        ("/data/model", "model"),
        ("s3://private/models/qwen", "qwen"),
        ("Qwen/Qwen2-VL-7B-Instruct", "Qwen/Qwen2-VL-7B-Instruct"),
    ],
)
def test_a_model_is_called_by_its_name(source: str, name: str) -> None:
    """A folder without its place."""
    assert model_name(recipe_in(Path("/data"), f"model.source={source}")) == name
