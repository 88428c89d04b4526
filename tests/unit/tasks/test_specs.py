"""What moves between steps is checked where it is made, and survives JSON."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.specs import (
    BlockRecord,
    ExportSpec,
    FolderChecks,
    QuantizationSpec,
    SegmentPlan,
    VerifyReport,
)
from tests.support.runs import LEARNED, NEAREST, World

SOUND = FolderChecks(
    quantized_modules=14,
    expected_modules=14,
    missing_keys=(),
    unexpected_keys=(),
    mismatched_keys=(),
    codes_equal=True,
    text_logit_error=1e-7,
    image_logit_error=1e-7,
    logit_tolerance=1e-4,
)


def test_a_plan_survives_json(world: World) -> None:
    """A worker on another machine gets the very plan that was sent."""
    plan = world.plan(world.store)

    assert SegmentPlan.model_validate_json(plan.model_dump_json()) == plan


def test_a_plan_is_titled_for_people(world: World) -> None:
    """Blocks are counted from 1 where people read."""
    assert world.plan(world.store, first_block=1).title == "test: blocks 2 to 3 of 3"


@pytest.mark.parametrize(
    "changes",
    [
        {"first_block": 2, "end_block": 2},
        {"end_block": 4},
        {"calibration": None},
        {"quantization": NEAREST},
        {"unheard_of": 1},
    ],
    ids=str,
)
def test_a_plan_that_means_nothing_is_refused(world: World, changes: dict[str, Any]) -> None:
    """Empty runs, blocks that are not there, learning without samples, samples without learning."""
    told = world.plan(world.store, quantization=LEARNED).model_dump() | changes

    with pytest.raises(ValidationError):
        SegmentPlan.model_validate(told)


@pytest.mark.parametrize(
    "asked",
    [
        {"bits": 5},
        {"group_size": 16},
        {"iters": -1},
        {"batch_size": 0},
        {"lr": 0.0},
        {"segments": 0},
        {"holdout": 0},
        {"seed": -1},
        {"itres": 200},
    ],
    ids=str,
)
def test_a_knob_out_of_range_is_refused(asked: dict[str, Any]) -> None:
    """Each with its key in the message, misspelled ones included."""
    with pytest.raises(ValidationError, match=next(iter(asked))):
        QuantizationSpec.model_validate(asked)


def test_a_format_asked_for_twice_is_refused() -> None:
    """It is most likely a slip, and would be written over itself."""
    with pytest.raises(ValidationError, match="names one twice"):
        ExportSpec.model_validate({"output_dir": "out", "formats": ["auto_gptq", "auto_gptq"]})


def test_a_sound_folder_has_no_problems() -> None:
    """Nothing wrong, nothing said."""
    assert VerifyReport(folders={"auto_gptq": SOUND}).ok


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"missing_keys": ("a", "b")}, "2 tensors missing, first a"),
        ({"unexpected_keys": ("c",)}, "1 tensors unexpected, first c"),
        ({"mismatched_keys": ("d",)}, "1 tensors of another shape, first d"),
        ({"quantized_modules": 13}, "13 of 14 layers quantized"),
        ({"codes_equal": False}, "unpacked codes differ from those that were learned"),
        ({"text_logit_error": 0.5}, "text logits differ by 0.5 (accepted: 0.0001)"),
        ({"image_logit_error": math.nan}, "image logits differ by nan (accepted: 0.0001)"),
        ({"faults": ("SHA256SUMS lies",)}, "SHA256SUMS lies"),
    ],
    ids=str,
)
def test_every_check_speaks_for_itself(change: dict[str, Any], said: str) -> None:
    """Each failing check is one sentence, with its format, and the report is not ok."""
    report = VerifyReport(folders={"auto_round": SOUND.model_copy(update=change)})

    assert report.problems == (f"auto_round: {said}",)
    assert not report.ok


def test_a_record_survives_json() -> None:
    """Numbers that are not there stay away, and every digit of the others stays."""
    record = BlockRecord.model_validate(
        {
            "block": 3,
            "ref": {"uri": "cas/x", "sha256": "a" * 64},
            "loss_before": 0.1 + 0.2,
            "loss_after": None,
            "chosen_iteration": 0,
            "fallback": "none was better",
            "sqnr_db": None,
            "seconds": 1.5,
            "peak_bytes": 1,
            "reused": False,
        }
    )

    assert BlockRecord.model_validate_json(record.model_dump_json()) == record
