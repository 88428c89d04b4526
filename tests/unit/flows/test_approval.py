"""After the gate a run goes on, stops, or waits, and its state says which."""

import pytest
from prefect.client.schemas.objects import State, StateType

from flows import approval
from flows.recipe import ApprovalSpec
from flows.results import Approval, RunResult
from infra.evaluation.compared import Comparison
from tests.support.evaluations import FAIL, HOLD, PASS, a_run, an_evaluation, judged

AT_ONCE = ApprovalSpec(hold_minutes=0)


def state_of(result: RunResult) -> State[RunResult]:
    """Settle without anybody's approval, where that gives a state of its own."""
    settled = approval.settle(result, AT_ONCE, approve_hold=False)
    assert isinstance(settled, State)
    return settled


@pytest.mark.parametrize("comparison", [PASS, None])
def test_what_passes_or_was_not_judged_goes_on(comparison: Comparison | None) -> None:
    """The state is Prefect's own, and nobody is said to have approved."""
    result = a_run(an_evaluation({"pile": comparison}))

    assert approval.settle(result, AT_ONCE, approve_hold=True) == result


def test_a_run_without_an_evaluation_goes_on() -> None:
    """There is no gate to stop it."""
    assert approval.settle(a_run(None), AT_ONCE, approve_hold=False) == a_run(None)


@pytest.mark.parametrize(("comparison", "name"), [(HOLD, "Held"), (FAIL, "Refused")])
def test_the_state_is_named_after_the_verdict(comparison: Comparison, name: str) -> None:
    """It completed, with the result in it: nothing crashed; the name says what may be done."""
    result = a_run(an_evaluation({"pile": comparison}))
    state = state_of(result)

    assert (state.name, state.type, state.data) == (name, StateType.COMPLETED, result)


def test_the_reason_is_told_in_words() -> None:
    """Whoever reads the page needs no log: each variant's deciding findings, and no other's."""
    held = state_of(a_run(an_evaluation({"pile": HOLD, "llava": FAIL})))
    (finding,) = judged(HOLD).verdict.decisive

    assert held.message == f"pile: {finding.words}"
    assert "a person decides" in finding.words


def test_an_approval_beforehand_lets_a_held_run_go_on() -> None:
    """The result says so."""
    result = a_run(an_evaluation({"pile": HOLD}))
    settled = approval.settle(result, AT_ONCE, approve_hold=True)
    told = Approval(by="the command line", reason="approved beforehand")

    assert settled == result.model_copy(update={"approval": told})


def test_nobody_can_approve_what_the_gate_refuses() -> None:
    """An approval is for what is not clear."""
    result = a_run(an_evaluation({"pile": FAIL}))
    settled = approval.settle(result, AT_ONCE, approve_hold=True)

    assert isinstance(settled, State)
    assert settled.name == "Refused"


def test_one_variant_that_passes_is_enough() -> None:
    """It is the one that is released."""
    result = a_run(an_evaluation({"pile": FAIL, "llava": PASS, "both": HOLD}))

    assert approval.settle(result, AT_ONCE, approve_hold=False) == result


def test_a_person_is_asked_in_points() -> None:
    """The form shows Markdown: one point a finding, under the variant that it is about."""
    asked = approval.question(a_run(an_evaluation({"pile": HOLD, "llava": FAIL})))
    (finding,) = judged(HOLD).verdict.decisive

    assert asked == f"**pile** is held:\n\n- {finding.words}"
