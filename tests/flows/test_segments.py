"""Segments here and on workers: the same bytes, whoever makes them, and never twice."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from flows.answering import compare_models
from flows.capture import capture_starts
from flows.errors import WorkFailedError
from flows.pool import on_workers
from flows.quantize import quantize_model
from flows.recipe import Recipe
from flows.results import RunResult
from flows.segment import quantize_segment, segment_job
from flows.segments import Asked, Cut, segment_of
from infra.models.source import resolve
from infra.store import open_store
from tasks.specs import SegmentPlan
from tests.support.pages import artifacts_of, latest_run
from tests.support.requests import small_recipe, write_data
from tests.support.workers import deploy, working

POOL = {"pool": "segments", "resubmits": 1}


@pytest.fixture(scope="module", autouse=True)
def _workers(prefect_api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run two workers, each of which has one segment at a time."""
    deploy(prefect_api_url, "segments", quantize_segment, capture_starts, compare_models)
    with working(prefect_api_url, "segments", tmp_path_factory.mktemp("workers")):
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the data sets."""
    return write_data(tmp_path_factory.mktemp("data"))


def recipe(model: Path, data: Path, out: Path, **how: Any) -> Recipe:
    """Return a recipe of one variant in two segments."""
    small = small_recipe(model, data, out)
    told = small.model_dump(mode="json") | {"calibration": [small.calibration[0]]}
    told["quantization"] |= {"segments": 2} | how.pop("quantization", {})
    return Recipe.model_validate(told | how)


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def made_by(asked: Recipe, workspace: Path) -> RunResult:
    """Carry out a recipe."""
    result = quantize_model(asked, workspace)
    assert isinstance(result, RunResult)
    return result


def test_workers_make_the_bytes_that_one_process_makes(
    tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    """From stores of their own: where a segment ran, or the seam, is not in the checkpoint."""
    how = {"seam": 2}
    alone = recipe(tiny_model, data, tmp_path / "alone", quantization=how)
    pooled = recipe(tiny_model, data, tmp_path / "pooled", quantization=how, workers=POOL)

    made_by(alone, tmp_path / "one")
    made_by(pooled, tmp_path / "other")

    assert digests(tmp_path / "alone")
    assert digests(tmp_path / "pooled") == digests(tmp_path / "alone")


def test_two_parents_of_one_recipe_share_the_work(
    tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    """Started together on one store they end with the same bytes; no block is learned twice.

    Each shows the table of blocks on its own page.
    """
    asked = [recipe(tiny_model, data, tmp_path / name, workers=POOL) for name in ("a", "b")]
    with ThreadPoolExecutor(2) as threads:
        runs = [
            threads.submit(copy_context().run, made_by, each, tmp_path / "work") for each in asked
        ]
        results = [run.result() for run in runs]

    assert digests(tmp_path / "a") == digests(tmp_path / "b") != {}
    seconds = [[block.seconds for block in result.variants[0].blocks] for result in results]
    assert seconds[0] == seconds[1]  # a block that was learned twice would have two
    shown = {artifact["key"] for artifact in artifacts_of(latest_run("small"))}
    assert f"blocks-{asked[0].calibration[0].name}" in shown  # what workers did, on the parent's


def test_a_worker_of_another_engine_is_refused_by_name(
    tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    """It would give other codes: the run ends, and says which worker it was."""
    asked = recipe(tiny_model, data, tmp_path / "out", quantization={"iters": 0}, workers=POOL)
    cut = Cut(
        resolve(str(tiny_model)), (range(2),), asked.quantization, asked.compute, asked.at(tmp_path)
    )
    plan = segment_of(cut, Asked("rtn", None), range(2), None).plan
    assert isinstance(plan, SegmentPlan)
    other = segment_job(plan.model_copy(update={"engine": "0.0.0-other"}))

    with pytest.raises(WorkFailedError, match=r"The worker .+, process \d+ has version .*0\.0\.0"):
        on_workers(asked.workers, open_store(cut.place), [other])
