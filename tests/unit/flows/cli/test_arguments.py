"""Flags become a recipe, and their errors name flags."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows.cli.arguments import Asked, Data, to_recipe
from flows.errors import RecipeError

HOW = {
    "bits": 4, "group_size": 128, "symmetric": True, "iters": 10, "batch_size": 8, "lr": None,
    "seed": 42, "segments": 1,
}  # fmt: skip


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Return a text set of one row."""
    path = tmp_path / "My Texts.jsonl"
    path.write_text(json.dumps({"text": "conversations"}) + "\n")
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Return a LLaVA-style set of one row."""
    path = tmp_path / "rows.json"
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "That."}]
    path.write_text(json.dumps([{"id": "1", "image": "1.jpg", "conversations": turns}]))
    return path


def asked(calibration: str | Path | None, **changes: Any) -> Asked:
    """Return what a sound command line says, with changes to the grid and the rest."""
    how = HOW | {key: value for key, value in changes.items() if key in HOW}
    rest = {key: value for key, value in changes.items() if key not in HOW}
    data = Data(None if calibration is None else str(calibration), None, 8, 64)
    sound = Asked(
        model="owner/My-Model",
        revision=None,
        data=data._replace(**{k: v for k, v in rest.items() if k in Data._fields}),
        quantization=how,
        formats="auto_gptq,auto_round",
        output_dir=Path("out"),
        compute={"device": "cpu", "dtype": "auto", "threads": None},
        held_out=None,
        held_out_nsamples=3,
    )
    return sound._replace(**{k: v for k, v in rest.items() if k in Asked._fields})


def test_the_flags_of_the_peer_make_a_recipe(texts: Path) -> None:
    """Names, counts, grid, formats and folder arrive."""
    recipe = to_recipe(asked(texts))
    (variant,) = recipe.variants

    assert recipe.name == "my-model-int4"
    assert (variant.name, variant.export.output_dir.name) == ("my-texts", "out")
    assert recipe.export.formats == ("auto_gptq", "auto_round")
    assert (recipe.calibration[0].nsamples, recipe.calibration[0].seqlen) == (8, 64)


def test_the_kind_of_a_set_is_seen_in_its_rows(texts: Path, rows: Path) -> None:
    """Nobody has to say what the file says."""
    kinds = [to_recipe(asked(path)).calibration[0].kind for path in (texts, rows)]
    assert kinds == ["text", "image_text"]


def test_a_known_name_stands_for_a_pinned_set() -> None:
    """The rows of "pile" are the same next year."""
    (spec,) = to_recipe(asked("pile")).calibration

    assert (spec.name, spec.source) == ("pile", "NeelNanda/pile-10k")
    assert len(spec.revision or "") == 40


def test_round_to_nearest_needs_no_set() -> None:
    """There is nothing to learn from."""
    assert to_recipe(asked(None, iters=0)).variants[0].calibration is None


def test_learning_needs_a_set() -> None:
    """The message names the flag and the known sets."""
    with pytest.raises(RecipeError, match=r"--calibration is missing, and --iters 10 .*pile"):
        to_recipe(asked(None))


def test_a_held_out_set_is_read_at_the_same_length(texts: Path) -> None:
    """Its samples are as long as those that are learned from."""
    text = to_recipe(asked(texts, held_out=str(texts))).evaluation.text

    assert text is not None
    assert (text.name, text.nsamples, text.seqlen) == ("held-out", 3, 64)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bits": 5}, r"--bits = 5: Input should be 2, 3, 4 or 8"),
        ({"group_size": 100}, r"--group-size = 100"),
        ({"iters": -1}, r"--iters = -1: .*greater than or equal to 0"),
        ({"nsamples": 0}, r"--nsamples = 0: .*greater than 0"),
        ({"seqlen": -5}, r"--seqlen = -5"),
        ({"seed": -1}, r"--seed = -1"),
        ({"segments": 0}, r"--segments = 0"),
        ({"formats": "gguf"}, r"--format = \"gguf\": .*'auto_round' or 'auto_gptq'"),
        ({"formats": ","}, r"--format = \[\]: "),
        ({"model": ""}, r"--model = \"\""),
        ({"compute": {"device": "tpu"}}, r"--device = \"tpu\""),
    ],
)
def test_errors_name_the_flag(texts: Path, changes: dict[str, Any], words: str) -> None:
    """A key of a recipe would mean nothing to whoever typed flags."""
    with pytest.raises(RecipeError, match=words):
        to_recipe(asked(texts, **changes))
