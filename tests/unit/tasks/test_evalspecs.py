"""What an evaluation is asked for is checked where it is made."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infra.models.source import ModelSource
from tasks.evalspecs import (
    BenchmarksSpec,
    BlockNoise,
    EvaluationPlan,
    FidelityReport,
    Subject,
)
from tests.support.examining import ON_CPU
from tests.support.places import place_at

SOURCE = ModelSource(path=Path("/models/m"), digest="d" * 64)


def a_plan(baseline: str | None, *candidates: str) -> EvaluationPlan:
    """Return a plan for models of these names."""
    return EvaluationPlan(
        name="demo",
        baseline=None if baseline is None else Subject(name=baseline, source=SOURCE),
        candidates=tuple(Subject(name=name, source=SOURCE) for name in candidates),
        asked=None,
        text=None,
        compute=ON_CPU,
        place=place_at(Path("store")),
    )


def test_the_16_bit_model_comes_first() -> None:
    """It is the first column of the table, and what the others are compared with."""
    assert [each.name for each in a_plan("16bits", "pile", "llava").subjects] == [
        "16bits",
        "pile",
        "llava",
    ]
    assert [each.name for each in a_plan(None, "pile").subjects] == ["pile"]
    assert a_plan("16bits", "pile").title == "demo: evaluate 16bits, pile"


@pytest.mark.parametrize("names", [("16bits", "pile", "pile"), ("pile", "pile"), (None, "a", "a")])
def test_two_models_of_one_name_are_refused(names: tuple[str | None, ...]) -> None:
    """Their columns, and their reports, could not be told apart."""
    with pytest.raises(ValidationError, match=r"two models are called (pile|a); give each"):
        a_plan(names[0], *map(str, names[1:]))


def test_a_plan_survives_json() -> None:
    """It may be sent to another machine."""
    plan = a_plan("16bits", "pile")

    assert EvaluationPlan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize(
    "wrong",
    [
        {"names": ()},
        {"names": ("../POPE",)},
        {"limit": 0},
        {"shards": 0},
        {"parallel": 0},
        {"batch_size": 0},
        {"max_new_tokens": 0},
        {"fidelity_prompts": -1},
        {"engine": "sglang"},
        {"mode": "fast"},
        {"bathc_size": 4},
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(wrong: dict[str, Any]) -> None:
    """By the name of the field, before anything runs."""
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        BenchmarksSpec(**{"names": ("POPE",), **wrong})


def test_the_worst_blocks_are_those_with_the_most_noise() -> None:
    """Three of them, worst first; a block without noise is none of them, and 0 dB is noise."""
    levels = (20.0, None, 0.0, 35.5, -3.0, 12.0)
    report = FidelityReport(
        blocks=tuple(BlockNoise(block=n, sqnr_db=value) for n, value in enumerate(levels))
    )

    assert [each.block for each in report.worst_blocks] == [4, 2, 5]
    assert FidelityReport().worst_blocks == ()
