"""A person decides where the gate is not sure: on the page of a run, on a real server."""

import contextvars
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from prefect import flow
from prefect.client.schemas.objects import State

from flows import approval
from flows.recipe import ApprovalSpec
from flows.results import Approval, RunResult
from tests.support import pages
from tests.support.evaluations import HOLD, a_run, an_evaluation

HELD = a_run(an_evaluation({"pile": HOLD}))


@flow(flow_run_name="{name}", persist_result=False)
def hold(name: str, *, minutes: float) -> RunResult | State[RunResult]:
    """Stop where a quantization stops; a recipe counts in whole minutes."""
    assert name
    gate = ApprovalSpec().model_copy(update={"hold_minutes": minutes})
    return approval.settle(HELD, gate, approve_hold=False)


Held = Callable[[str, float], Future[RunResult]]


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    """Return threads in which runs wait while a person thinks."""
    with ThreadPoolExecutor(4) as threads:
        yield threads


@pytest.fixture
def started(pool: ThreadPoolExecutor) -> Held:
    """Return a function that starts a run which is held."""

    def start(name: str, minutes: float) -> Future[RunResult]:
        run = functools.partial(hold, name, minutes=minutes)
        return pool.submit(contextvars.copy_context().run, run)

    return start


def test_a_person_approves_refuses_or_does_not_come(started: Held) -> None:
    """All three wait at the same time, because Prefect looks every ten seconds."""
    runs = {name: started(name, 10) for name in ("approved", "refused", "ignored")}
    forgotten = started("forgotten", 0.1)
    pages.resume(
        pages.wait_until_paused("approved"),
        {"approve": True, "name": "Ada", "reason": "The drop is one question."},
    )
    pages.resume(pages.wait_until_paused("refused"), {"approve": False, "name": "Ada"})
    pages.resume(pages.wait_until_paused("ignored"), {})
    told = Approval(by="Ada", reason="The drop is one question.")

    assert runs["approved"].result() == HELD.model_copy(update={"approval": told})
    assert pages.latest_run("approved").state_name == "Completed"
    for name, run in (*runs.items(), ("forgotten", forgotten)):
        if name != "approved":
            assert run.result() == HELD
            assert pages.latest_run(name).state_name == "Held"
