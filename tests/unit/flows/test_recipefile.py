"""A recipe file and its overrides become a recipe, or an error that helps."""

from pathlib import Path

import pytest

from flows import recipefile
from flows.errors import RecipeError

SOUND = """\
name: small
model:
  source: {model}
calibration:
  - name: pile
    kind: text
    source: texts.jsonl
    nsamples: 8
    seqlen: 64
    seed: 1
export:
  output_dir: out
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a sound recipe, in a folder that also holds its data and model."""
    folder = tmp_path / "recipes"
    (folder / "model").mkdir(parents=True)
    (folder / "texts.jsonl").touch()
    path = folder / "small.yaml"
    path.write_text(SOUND.format(model="model"))
    return path


def test_paths_are_relative_to_the_recipe(path: Path) -> None:
    """A recipe works from wherever it is started."""
    recipe = recipefile.load(str(path))

    assert recipe.model.source == str(path.parent / "model")
    assert recipe.calibration[0].source == str(path.parent / "texts.jsonl")
    assert recipe.export.output_dir == path.parent / "out"


def test_a_hub_id_is_no_path(path: Path) -> None:
    """Nothing of that name is there, and it does not look like a path."""
    path.write_text(SOUND.format(model="owner/name"))

    assert recipefile.load(str(path)).model.source == "owner/name"


def test_what_looks_like_a_path_is_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing folder must be told as a folder, and ~ is the home folder."""
    monkeypatch.setenv("HOME", "/home/someone")
    path.write_text(SOUND.format(model="./gone"))
    away = recipefile.load(str(path), ["model.source=~/models/x"])

    assert recipefile.load(str(path)).model.source == str(path.parent / "gone")
    assert away.model.source == "/home/someone/models/x"


def test_paths_in_overrides_are_relative_to_the_current_folder(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command line means the folder it is typed in."""
    monkeypatch.chdir(tmp_path)
    recipe = recipefile.load(str(path), ["export.output_dir=elsewhere"])

    assert recipe.export.output_dir == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    "override",
    ["calibration.pile.nsamples=9", "calibration.0.nsamples=9", "calibration[0].nsamples=9"],
)
def test_a_list_item_has_a_name_and_a_number(path: Path, override: str) -> None:
    """All ways to write it mean the same."""
    assert recipefile.load(str(path), [override]).calibration[0].nsamples == 9


def test_values_are_yaml(path: Path) -> None:
    """Numbers, booleans, null and lists are what they look like."""
    overrides = [
        "quantization.symmetric=false",
        "quantization.lr=5e-3",
        "model.revision=null",
        "export.formats=[auto_gptq]",
    ]
    recipe = recipefile.load(str(path), overrides)

    assert (recipe.quantization.symmetric, recipe.quantization.lr) == (False, 0.005)
    assert (recipe.model.revision, recipe.export.formats) == (None, ("auto_gptq",))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "quantisation.iters=3",
            r"quantisation: there is no such key; did you mean quantization\?",
        ),
        ("quantization.iter=3", r"quantization\.iter: .*did you mean iters\?"),
        ("model.zzz=3", r"model\.zzz: there is no such key; the keys here are source, revision\."),
        ("calibration.pile.nsample=3", r"calibration\[0\]\.nsample: .*did you mean nsamples\?"),
        ("calibration.pile.nsamples=-3", r"calibration\[0\]\.nsamples = -3: .*greater than 0"),
        ("quantization.iters=many", r"quantization\.iters = \"many\": .*valid integer.*Steps of"),
        ("quantization.iters=true", r"quantization\.iters = true: .*valid integer"),
        ("quantization.bits=5", r"quantization\.bits = 5: Input should be 2, 3, 4 or 8"),
        (
            "export.formats=[gguf]",
            r"export\.formats\[0\] = \"gguf\": .*'auto_round' or 'auto_gptq'",
        ),
        ("export.formats=[auto_gptq, auto_gptq]", "formats names one twice"),
        ("model.revision=1234567", r"model\.revision = 1234567: .*valid string"),
        (
            "publish.repo_id=nameonly",
            r"publish\.repo_id: 'nameonly' is no name of a repository: give",
        ),
        ("export=null", r"export = null: .*Which checkpoints are written"),
        ("calibration.llava.nsamples=3", "the list has no item llava; it has pile"),
        ("name.first=x", "name is the value 'small', so it has no keys inside it"),
        ("quantization.iters", r"an override is written key\.path=value"),
        ("=3", r"an override is written key\.path=value"),
        ("name=[", r"--set name=\[, line 1, column 2: not valid YAML"),
    ],
)
def test_what_is_wrong_is_told_with_place_value_and_remedy(
    path: Path, override: str, words: str
) -> None:
    """A person mends the recipe from the message alone."""
    with pytest.raises(RecipeError, match=words):
        recipefile.load(str(path), [override])


def test_a_missing_key_is_told_with_what_it_is_for(path: Path) -> None:
    """The description of the field is the remedy."""
    path.write_text(path.read_text().replace("output_dir: out", "formats: [auto_gptq]"))

    with pytest.raises(
        RecipeError, match=r"small\.yaml: one problem\. export\.output_dir: missing"
    ):
        recipefile.load(str(path))


def test_all_problems_are_told_at_once(path: Path) -> None:
    """Nobody should have to start three times to find three mistakes."""
    with pytest.raises(RecipeError, match=r"3 problems\."):
        recipefile.load(str(path), ["quantization.bits=5", "name=A B", "compute.device=tpu"])


def test_an_unknown_recipe_is_told_with_the_nearest_known_one() -> None:
    """The packaged names are listed."""
    with pytest.raises(RecipeError, match=r"Did you mean demo\? Packaged recipes: demo, qwen2"):
        recipefile.load("dmeo")


def test_a_packaged_recipe_works_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is ever written beside the installed package."""
    monkeypatch.chdir(tmp_path)

    assert recipefile.load("demo").export.output_dir.is_relative_to(tmp_path)
