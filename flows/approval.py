"""After the gate: go on, stop, or let a person decide.

The gate is sure of most variants.  Where it is not, the run stops before anything is published, and
either waits on its page for somebody to read the numbers and approve, or ends as held; the same
command with an approval then goes on from what is in the store.
"""

from collections.abc import Iterator
from typing import TypeVar

from prefect.client.schemas.objects import State
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.states import Completed
from pydantic import Field

from flows.recipe import ApprovalSpec
from flows.results import Approval, Candidates
from infra.evaluation.verdict import Verdict
from tasks.progress import say

HELD, REFUSED = "Held", "Refused"
Result = TypeVar("Result", bound=Candidates)


class Decision(RunInput):
    """What a person says about a held release."""

    approve: bool = Field(default=False, description="Release the variants that are held.")
    name: str = Field(default="", description="Who decides.")
    reason: str = Field(default="", description="Why.")


def settle(result: Result, gate: ApprovalSpec, *, approve_hold: bool) -> Result | State[Result]:
    """Return the result in a state that says what may be done with it.

    One variant that passes is enough: that one is released, and the others are told of.

    Args:
        result: What was made and judged.
        gate: Whether a held run waits for a person, and how long.
        approve_hold: A person has approved beforehand.
    """
    outcome = None if result.evaluation is None else result.evaluation.best
    if outcome == "hold":
        approval = _approval(result, gate, approve_hold=approve_hold)
        if approval is None:
            return Completed(name=HELD, message=_reasons(result, outcome), data=result)
        return result.model_copy(update={"approval": approval})
    if outcome == "fail":
        return Completed(name=REFUSED, message=_reasons(result, outcome), data=result)
    return result


def _approval(result: Candidates, gate: ApprovalSpec, *, approve_hold: bool) -> Approval | None:
    """Return a person's approval, if there is one."""
    if approve_hold:
        return Approval(by="the command line", reason="approved beforehand")
    if not gate.hold_minutes:
        return None
    say(f"held for {gate.hold_minutes} minutes: approve or refuse on the page of the run")
    asked = Decision.with_initial_data(description=question(result))
    try:
        told = pause_flow_run(wait_for_input=asked, timeout=60 * gate.hold_minutes)
    except FlowPauseTimeout:
        return None
    return Approval(by=told.name or "unnamed", reason=told.reason) if told.approve else None


def question(result: Candidates) -> str:
    """Return what a person has to decide on, as the form above the answer shows it."""
    found = () if result.evaluation is None else result.evaluation.variants
    parts = [
        "\n".join((f"**{each.name}** is held:", "", *_points(each.judged.verdict)))
        for each in found
        if each.judged is not None and each.judged.verdict.outcome == "hold"
    ]
    return "\n\n".join(parts)


def _points(verdict: Verdict) -> Iterator[str]:
    return (f"- {finding.words}" for finding in verdict.decisive)


def _reasons(result: Candidates, outcome: str) -> str:
    """Return what decided, in words."""
    found = () if result.evaluation is None else result.evaluation.variants
    return " ".join(
        f"{each.name}: {' '.join(finding.words for finding in each.judged.verdict.decisive)}"
        for each in found
        if each.judged is not None and each.judged.verdict.outcome == outcome
    )
