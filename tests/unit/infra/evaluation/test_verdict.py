"""What a gate may be told."""

import pytest
from pydantic import ValidationError

from infra.evaluation.verdict import FidelityEvidence, GateSpec


def test_the_defaults_are_those_of_the_documentation() -> None:
    """A change of the gate is a decision, and this line is where it is taken."""
    assert GateSpec().model_dump() == {
        "average_margin": 1.5,
        "task_drop": 2.0,
        "alpha": 0.05,
        "unreadable": 0.5,
        "capped": 0.5,
        "yes_share": 3.0,
        "flips": 12.0,
        "kl_growth": 1.5,
        "kl_int4": 4.0,
        "clusters": 10,
    }


@pytest.mark.parametrize(
    "change",
    [{"average_margin": -1}, {"alpha": 1}, {"flips": 101}, {"task_drop": float("nan")}, {"x": 1}],
)
def test_thresholds_that_mean_nothing_are_refused(change: dict[str, float]) -> None:
    """A gate that cannot close, or a key that nobody reads, is a mistake in a recipe."""
    with pytest.raises(ValidationError):
        GateSpec.model_validate(change)


def test_rounding_is_compared_with_its_interval_or_not_at_all() -> None:
    """A difference without an interval is neither clear nor unclear."""
    with pytest.raises(ValidationError, match="give both or neither"):
        FidelityEvidence(mean_kl=0.1, mean_kl_rtn=0.2)


def test_a_divergence_that_is_no_number_is_refused() -> None:
    """NaN compares with nothing, and would pass every limit."""
    with pytest.raises(ValidationError):
        FidelityEvidence(mean_kl=float("nan"))
