"""A person decides where the gate is not sure: on the page of a run, on a real server."""

import contextvars
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.schemas.objects import State

from flows import approval, recipefile
from flows.quantize import quantize_model
from flows.recipe import ApprovalSpec, Recipe
from flows.results import Approval, RunResult
from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
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


@pytest.fixture(scope="module")
def unsure(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Return a recipe whose result nobody can be sure of: four pictures say too little."""
    root = tmp_path_factory.mktemp("unsure")
    write_benchmarks(root / "tables", seed=5, sizes=BenchmarkSizes(1, 4, 1, 4))
    content = {
        "name": "unsure",
        "model": {"source": str(tiny_model)},
        "quantization": {"bits": 8, "iters": 0},
        "export": {"output_dir": str(root / "out"), "formats": ["auto_gptq"]},
        "benchmarks": {
            "names": ["ScienceQA_VAL"], "source": str(root / "tables"), "max_new_tokens": 2,
            "fidelity_prompts": 0,
        },
        "compute": {"device": "cpu", "dtype": "float32"},
    }  # fmt: skip
    return recipefile.check(content, "a test")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace that the runs of a recipe share."""
    return tmp_path_factory.mktemp("workspace")


def test_a_held_recipe_ends_as_held_and_the_same_command_with_an_approval_goes_on(
    unsure: Recipe, workspace: Path
) -> None:
    """From what is in the store; nothing is computed a second time."""
    held = quantize_model(unsure, workspace)
    state = pages.latest_run("unsure").state
    approved = quantize_model(unsure, workspace, approve_hold=True)
    assert state is not None
    assert isinstance(held, RunResult)
    assert isinstance(approved, RunResult)
    assert approved.evaluation is not None

    assert (state.name, held.approval) == ("Held", None)
    assert "rtn: ScienceQA_VAL has 4 independent clusters" in (state.message or "")
    assert pages.latest_run("unsure").state_name == "Completed"
    assert approved.approval == Approval(by="the command line", reason="approved beforehand")
    assert [ref.computed for model in approved.evaluation.models for ref in model.answers] == [0, 0]


def test_a_recipe_may_wait_for_a_person(
    unsure: Recipe, workspace: Path, pool: ThreadPoolExecutor
) -> None:
    """The run pauses on its page, which shows the reasons, and goes on when it is approved."""
    gate = unsure.gate.model_copy(update={"hold_minutes": 10})
    run = functools.partial(quantize_model, unsure.model_copy(update={"gate": gate}), workspace)
    result = pool.submit(contextvars.copy_context().run, run)
    paused = pages.wait_until_paused("unsure")
    pages.resume(paused, {"approve": True, "name": "Ada", "reason": "A look by eye."})

    assert "4 independent clusters" in pages.asked_of_a_person(paused)
    assert result.result().approval == Approval(by="Ada", reason="A look by eye.")
    assert pages.latest_run("unsure").state_name == "Completed"
