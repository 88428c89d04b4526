"""The main flow, from a model to verified checkpoints, on a real server."""

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest

from flows.errors import RecipeError
from flows.quantize import quantize_model
from flows.results import RunResult
from infra.errors import MissingBucketError, OutputExistsError, TooFewSamplesError
from infra.store import StoreAddress
from tasks.progress import listening
from tests.support.bucket import keys_of_anyone, running_bucket
from tests.support.pages import artifacts_of, latest_run, tasks_of
from tests.support.requests import small_recipe, write_data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the data sets."""
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace that the tests of this file share."""
    return tmp_path_factory.mktemp("workspace")


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def first(tiny_model: Path, data: Path, workspace: Path, tmp_path_factory: pytest.TempPathFactory,
          prefect_api_url: str) -> tuple[RunResult, Path]:  # fmt: skip
    """Return what the first run gave, and its output folder."""
    from prefect.settings import temporary_settings  # noqa: PLC0415 -- before the settings of a test

    out = tmp_path_factory.mktemp("out")
    with temporary_settings({"api.url": prefect_api_url, "flows.heartbeat_frequency": None}):
        return quantize_model(small_recipe(tiny_model, data, out), workspace), out


def test_each_variant_is_written_in_both_formats_and_verified(
    first: tuple[RunResult, Path],
) -> None:
    """One recipe in, two verified pairs of checkpoints out, judged on held-out text."""
    result, out = first

    assert [variant.name for variant in result.variants] == ["texts", "chats"]
    for variant in result.variants:
        assert variant.export.folders == {
            kind: out / variant.name / kind for kind in ("auto_round", "auto_gptq")
        }
        assert variant.verification.problems == ()
        assert [block.block for block in variant.blocks] == [0, 1]
        fidelity = result.fidelity(variant.name)
        assert fidelity is not None
        assert fidelity.text is not None
        assert fidelity.text.mean_kl > 0
        assert fidelity.prompts is None
    assert result.evaluation is not None
    assert (result.evaluation.models, result.evaluation.best) == ((), None)


def test_runs_and_steps_are_named_for_people(first: tuple[RunResult, Path]) -> None:
    """Whoever reads the page of a run understands what is going on."""
    assert first
    steps = [task.name for task in tasks_of(latest_run("small"))]
    blocks = [task.name for task in tasks_of(latest_run("texts: blocks 1 to 2 of 2"))]

    assert {"calibrate texts", "export chats", "verify texts", "verify chats"} <= set(steps)
    assert sorted(blocks) == ["texts: block 1 of 2", "texts: block 2 of 2"]


def test_the_page_can_list_every_step(first: tuple[RunResult, Path]) -> None:
    """It shows none at all where one was given something of a kind that it does not know."""
    assert first
    kinds = {
        given.input_type
        for task in tasks_of(latest_run("small"))
        for several in task.task_inputs.values()
        for given in several
    }

    assert kinds <= {"constant", "parameter", "task_run"}


def test_the_page_of_the_run_shows_progress_blocks_and_summary(
    first: tuple[RunResult, Path],
) -> None:
    """A bar a segment, a table of blocks and pictures of losses a variant, and what it came to."""
    assert first
    main = {(found["type"], found["key"]) for found in artifacts_of(latest_run("small"))}
    segment = artifacts_of(latest_run("chats: blocks 1 to 2 of 2"))
    judged = artifacts_of(latest_run("small: evaluate 16bits, texts, chats"))

    assert main == {
        ("table", "blocks-texts"),
        ("table", "blocks-chats"),
        ("markdown", "losses-texts"),
        ("markdown", "losses-chats"),
        ("markdown", "summary-small"),
    }
    assert [(found["type"], found["data"]) for found in segment] == [("progress", 100.0)]
    assert [(found["type"], found["key"]) for found in judged] == [("markdown", "verdict-small")]


def test_the_same_request_again_changes_nothing(
    first: tuple[RunResult, Path], tiny_model: Path, data: Path, workspace: Path
) -> None:
    """Finished blocks come from the store, finished exports are verified and kept."""
    result, out = first
    before = digests(out)
    again = quantize_model(small_recipe(tiny_model, data, out), workspace)

    assert digests(out) == before
    assert all(block.reused for variant in again.variants for block in variant.blocks)
    assert again.evaluation == result.evaluation


def test_another_folder_and_an_empty_store_give_the_same_bytes(
    first: tuple[RunResult, Path], tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    """The same recipe is the same checkpoint, wherever it is made."""
    _, out = first
    quantize_model(small_recipe(tiny_model, data, tmp_path / "out"), tmp_path)

    assert digests(tmp_path / "out") == digests(out)


class Words(logging.Handler):
    """Keeps what is told of all runs."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.told.append(record.getMessage())


def test_two_runs_of_one_target_come_one_after_the_other(
    first: tuple[RunResult, Path], tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    """The second says for whom it waits, and finds all of the work done."""
    recipe, words = small_recipe(tiny_model, data, tmp_path / "out"), Words()
    with listening(words), ThreadPoolExecutor(2) as threads:
        runs = [
            threads.submit(copy_context().run, quantize_model, recipe, tmp_path / "workspace")
            for _ in range(2)
        ]
        results = [run.result() for run in runs]

    waiting = [line for line in words.told if line.startswith("Waiting for the run of")]
    reused = sorted(
        [block.reused for variant in result.variants for block in variant.blocks]
        for result in results
    )
    assert len(waiting) == 1
    assert recipe.target in waiting[0]
    assert reused == [[False] * 4, [True] * 4]
    assert digests(tmp_path / "out") == digests(first[1])


def test_another_request_for_the_same_folder_is_refused_at_once(
    first: tuple[RunResult, Path], tiny_model: Path, data: Path, workspace: Path
) -> None:
    """Nothing overwrites a checkpoint."""
    _, out = first
    recipe = small_recipe(tiny_model, data, out, quantization={"iters": 3, "batch_size": 2})
    with pytest.raises(OutputExistsError, match="exists already"):
        quantize_model(recipe, workspace)


def test_a_store_that_cannot_be_used_is_told_before_a_model_is_fetched(
    data: Path, tmp_path: Path
) -> None:
    """Fetching one takes hours, and nothing could be kept of what is made of it."""
    with keys_of_anyone(), running_bucket() as bucket:
        store = StoreAddress(uri="s3://nobodys/runs", endpoint=bucket.endpoint)
        recipe = small_recipe(tmp_path / "no model", data, tmp_path / "out")

        with pytest.raises(MissingBucketError, match="has no bucket 'nobodys'"):
            quantize_model(recipe.model_copy(update={"store": store}), tmp_path / "workspace")


def test_segments_cut_the_model(
    tiny_model: Path, data: Path, workspace: Path, tmp_path: Path
) -> None:
    """Each segment is a run of its own, and all blocks end up in one checkpoint."""
    how = {"iters": 1, "batch_size": 2, "segments": 2}
    recipe = small_recipe(tiny_model, data, tmp_path, quantization=how)
    only_text = recipe.model_copy(update={"calibration": recipe.calibration[:1]})
    (variant,) = quantize_model(only_text, workspace).variants

    assert [block.block for block in variant.blocks] == [0, 1]
    assert latest_run("texts: blocks 2 to 2 of 2").state_name == "Completed"


def test_round_to_nearest_needs_neither_samples_nor_activations(
    tiny_model: Path, data: Path, workspace: Path, tmp_path: Path
) -> None:
    """With iters 0 the calibration sets are not even opened."""
    recipe = small_recipe(
        tiny_model, data, tmp_path / "out", calibration=[], quantization={"iters": 0}
    )
    (variant,) = quantize_model(recipe, workspace).variants

    assert variant.name == "rtn"
    assert variant.verification.ok
    assert {block.loss_after for block in variant.blocks} == {None}


def test_too_few_samples_end_the_run_before_any_block(
    tiny_model: Path, data: Path, workspace: Path, tmp_path: Path
) -> None:
    """The error of the task is the error of the flow, and nothing is left in the output folder."""
    recipe = small_recipe(tiny_model, data, tmp_path / "out")
    greedy = recipe.calibration[0].model_copy(update={"nsamples": 5000})
    with pytest.raises(TooFewSamplesError, match="5000"):
        quantize_model(recipe.model_copy(update={"calibration": (greedy,)}), workspace)

    assert not (tmp_path / "out").exists()


def test_more_segments_than_blocks_are_refused(
    tiny_model: Path, data: Path, workspace: Path, tmp_path: Path
) -> None:
    """Before a sample is drawn."""
    recipe = small_recipe(tiny_model, data, tmp_path, quantization={"iters": 1, "segments": 3})
    with pytest.raises(RecipeError, match="the model has 2 blocks"):
        quantize_model(recipe, workspace)
