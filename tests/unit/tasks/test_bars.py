"""Bars say how far a segment and a model's answers are, out of what their steps log."""

from pathlib import Path

import pytest

from infra.models.source import ModelSource
from tasks import bars
from tasks.moving import Position, Reading
from tasks.progress import AnswerEvent, ProgressEvent
from tasks.specs import CalibrationRef, ComputeSpec, QuantizationSpec, SegmentPlan
from tests.support.evaluations import a_table
from tests.support.places import place_at

SOURCE = ModelSource(path=Path("model"), digest="0" * 64)
STEP = ProgressEvent("pile", block=3, blocks=6, iteration=5, iters=10, loss=0.0123)
ASKED = AnswerEvent("pile", "TextVQA_VAL", total=10, reused=2, computed=3, seconds=1.5)


@pytest.fixture
def plan(tmp_path: Path) -> SegmentPlan:
    """Return the plan of blocks 3 to 6 of 6, counted from 1."""
    ref = {"uri": "cas/x", "sha256": "0" * 64}
    samples = CalibrationRef.model_validate({"name": "pile", "ref": ref, "report": {}})
    return SegmentPlan(
        variant="pile",
        source=SOURCE,
        calibration=samples,
        quantization=QuantizationSpec(iters=10),
        compute=ComputeSpec(),
        first_block=2,
        end_block=6,
        blocks=6,
        place=place_at(tmp_path),
    )


def answers() -> Reading:
    """Return what reads one model's place in two benchmarks, cut to four questions each."""
    tables = [a_table(name) for name in ("POPE", "TextVQA_VAL")]
    return bars.reading_answers("pile", tables, 4)


def test_a_segment_is_as_far_as_its_blocks_and_the_steps_of_the_next(plan: SegmentPlan) -> None:
    """One and a half of four blocks; in words, blocks count from 1 in the whole model."""
    assert bars.reading_blocks(plan)(STEP) == Position(
        37.5, "block 4 of 6, iteration 5 of 10, loss 0.0123"
    )


@pytest.mark.parametrize(
    "event",
    [STEP._replace(variant="llava"), STEP._replace(block=1), STEP._replace(block=6), ASKED],
)
def test_a_segment_does_not_move_by_what_others_do(
    plan: SegmentPlan, event: ProgressEvent | AnswerEvent
) -> None:
    """Segments and variants may share a process."""
    assert bars.reading_blocks(plan)(event) is None


def test_a_block_from_the_store_moves_the_bar_too(plan: SegmentPlan) -> None:
    """It has no steps of its own."""
    assert bars.block_done(plan, 2) == Position(25.0, "block 3 of 6 is done")
    assert bars.block_done(plan, 5).percent == 100.0


def test_answers_are_as_far_as_the_benchmarks_before_and_the_questions_of_this() -> None:
    """All of the first of two benchmarks, and half of the second."""
    assert answers()(ASKED) == Position(75.0, "TextVQA_VAL, 5 of 10 answers, 2.0 a second")


@pytest.mark.parametrize(
    "event", [ASKED._replace(subject="llava"), ASKED._replace(benchmark="GQA"), STEP]
)
def test_answers_do_not_move_by_what_others_do(event: ProgressEvent | AnswerEvent) -> None:
    """Models answer side by side."""
    assert answers()(event) is None
