"""The exit code of a run is its verdict."""

import pytest

from flows.cli.execute import exit_of
from flows.cli.exits import Exit
from flows.results import Approval
from infra.evaluation.compared import Comparison
from tests.support.evaluations import FAIL, HOLD, PASS, a_run, an_evaluation


@pytest.mark.parametrize(
    ("variants", "code"),
    [
        ({"a": PASS}, Exit.OK),
        ({"a": HOLD}, Exit.HELD),
        ({"a": FAIL}, Exit.REFUSED),
        ({"a": FAIL, "b": HOLD}, Exit.HELD),
        ({"a": FAIL, "b": PASS}, Exit.OK),
        ({"a": None}, Exit.OK),
    ],
)
def test_a_program_learns_what_the_best_variant_is_worth(
    variants: dict[str, Comparison | None], code: Exit
) -> None:
    """Scripts that publish look at nothing else."""
    assert exit_of(a_run(an_evaluation(variants))) == code


def test_a_run_that_a_person_approved_is_done() -> None:
    """And so is one that was never judged."""
    held = a_run(an_evaluation({"a": HOLD}))
    approved = held.model_copy(update={"approval": Approval(by="Ada", reason="seen")})

    assert exit_of(approved) == Exit.OK
    assert exit_of(a_run(None)) == Exit.OK
