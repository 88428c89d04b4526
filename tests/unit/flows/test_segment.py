"""Blocks are cut into runs, and a run's outcome is known by what decides it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import RecipeError
from flows.segment import cut, segment_job
from infra.models.source import ModelSource
from infra.store import ArtifactRef
from tasks.specs import CalibrationRef, ComputeSpec, QuantizationSpec, SegmentPlan
from tests.support.places import place_at


@given(st.integers(1, 200), st.integers(1, 200))
def test_runs_cover_all_blocks_once_and_evenly(blocks: int, segments: int) -> None:
    """No block is lost or done twice, and no worker waits long for another."""
    if segments > blocks:
        blocks, segments = segments, blocks
    runs = cut(blocks, segments)
    sizes = {len(run) for run in runs}

    assert [block for run in runs for block in run] == list(range(blocks))
    assert len(runs) == segments
    assert max(sizes) - min(sizes) <= 1


def test_more_segments_than_blocks_are_refused() -> None:
    """The message says how many there can be."""
    with pytest.raises(RecipeError, match=r"segments = 7, .* 6 blocks.* from 1 to 6"):
        cut(6, 7)


def ref(digit: str, uri: str = "somewhere") -> ArtifactRef:
    """Return a reference to an object that nobody opens."""
    return ArtifactRef(uri=uri, sha256=digit * 64)


def a_plan(**changes: Any) -> SegmentPlan:
    """Return the plan of two blocks of six."""
    asked: dict[str, Any] = {
        "variant": "pile",
        "source": ModelSource(path=Path("/models/one"), digest="a" * 64),
        "calibration": CalibrationRef(name="pile", ref=ref("b"), report={}),
        "quantization": QuantizationSpec(iters=10, segments=3, seam=5),
        "compute": ComputeSpec(),
        "first_block": 2,
        "end_block": 4,
        "blocks": 6,
        "place": place_at(Path("/srv/one")),
    }
    return SegmentPlan(**asked | changes)


def a_seam(**changes: Any) -> SegmentPlan:
    """Return a plan that tunes found codes once more."""
    return a_plan(**{"found": tuple(ref(digit) for digit in "1234")} | changes)


@pytest.mark.parametrize(
    "change",
    [
        {"variant": "renamed"},
        {"source": ModelSource(path=Path("/models/two"), commit="c" * 40, digest="a" * 64)},
        {"calibration": CalibrationRef(name="x", ref=ref("b", "elsewhere"), report={"a": 1})},
        {"quantization": QuantizationSpec(iters=10, segments=2, seam=0)},
        {"compute": ComputeSpec(threads=1, activation_gib=1)},
        {"place": place_at(Path("/srv/two"))},
        {"start": ref("d")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_same_work_is_found_again_under_another_name(change: dict[str, Any]) -> None:
    """Where things are, what they are called, and what a segment starts from decide nothing."""
    assert segment_job(a_plan()).key == segment_job(a_plan(**change)).key


@pytest.mark.parametrize(
    "change",
    [
        {"source": ModelSource(path=Path("/models/one"), digest="c" * 64)},
        {"calibration": CalibrationRef(name="pile", ref=ref("c"), report={})},
        {"quantization": QuantizationSpec(iters=10, bits=8)},
        {"compute": ComputeSpec(dtype="bfloat16")},
        {"first_block": 1},
        {"end_block": 5},
        {"engine": "another"},
        {"found": tuple(ref(digit) for digit in "1234")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_work_is_not(change: dict[str, Any]) -> None:
    """What decides codes is in the key."""
    assert segment_job(a_plan()).key != segment_job(a_plan(**change)).key


@pytest.mark.parametrize(
    "change",
    [
        {"quantization": QuantizationSpec(iters=10, seam=6)},
        {"found": tuple(ref(digit) for digit in "5234")},
        {"found": tuple(ref(digit) for digit in "1235")},
    ],
    ids=["steps", "first codes", "last codes"],
)
def test_a_seam_is_known_by_its_steps_and_codes(change: dict[str, Any]) -> None:
    """Those of the blocks before it, too."""
    assert segment_job(a_seam()).key != segment_job(a_seam(**change)).key


def test_a_seam_is_told_apart_on_the_page() -> None:
    """It is not called as the segments whose blocks it tunes again."""
    assert a_plan().title == "pile: blocks 3 to 4 of 6"
    assert a_seam().title == "pile: seam, blocks 3 to 4 of 6"
