"""Work on a pool: lost workers, failures, parents that share; server and workers are real."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling, Pending

from flows.errors import NoDeploymentError, WorkFailedError, WorkLostError
from flows.pool import POLL_SECONDS, on_workers
from infra.store import Place, open_store
from tasks.specs import WorkersSpec
from tests.support.work import Errand, errand_job, run_errand
from tests.support.workers import deploy, working

POOL = WorkersSpec(pool="errands", resubmits=1)


@pytest.fixture(scope="module", autouse=True)
def _workers(prefect_api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run two workers of the pool ``errands``, which carry out one errand at a time each."""
    deploy(prefect_api_url, "errands", run_errand)
    with working(prefect_api_url, "errands", tmp_path_factory.mktemp("workers")):
        yield


@flow(name="parent", persist_result=False)
def parent(plans: list[Errand], workers: WorkersSpec) -> list[str]:
    """Have errands done, as the main flow has segments quantized."""
    return on_workers(workers, open_store(plans[0].place), [errand_job(plan) for plan in plans])


def runs_of(plan: Errand) -> list[FlowRun]:
    """Return every run of an errand, the first one first."""
    named = FlowRunFilter(name=FlowRunFilterName(any_=[errand_job(plan).title]))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=named)
    return sorted(found, key=lambda run: run.created or run.expected_start_time)


def states_of(plan: Errand) -> list[str]:
    """Return the state of every run of an errand, the first one first."""
    return [run.state.name for run in runs_of(plan) if run.state is not None]


def taken_and_left(plan: Errand) -> FlowRun:
    """Hand an errand out as a parent does, to a worker that takes it and is gone."""
    job = errand_job(plan)
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(f"{job.flow.name}/{POOL.pool}")
        return client.create_flow_run_from_deployment(
            deployment.id,
            parameters=job.parameters,
            name=job.title,
            state=Pending(),
            idempotency_key=f"{job.run_key}-0",
        )


def call_off(run: FlowRun) -> None:
    """Cancel a run, as a parent does that has failed."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Cancelling())


def test_what_was_done_is_found_and_never_done_again(tmp_path: Path) -> None:
    """The outcome is in the store, whoever put it there; who only found it says so."""
    plans = [Errand(place=Place(workspace=tmp_path), name=f"plain-{n}") for n in range(2)]

    first = parent(plans, POOL)
    second = parent(plans, POOL)

    assert first == ["plain-0 is done", "plain-1 is done"]
    assert second == ["plain-0 is done before", "plain-1 is done before"]
    assert [plan.begun for plan in plans] == [1, 1]


def test_a_lost_worker_costs_another_try(tmp_path: Path) -> None:
    """A process that dies is reported as crashed, and its work is handed out again."""
    plan = Errand(place=Place(workspace=tmp_path), name="mortal", deaths=1)

    assert parent([plan], POOL) == ["mortal is done"]

    assert plan.begun == 2
    assert states_of(plan) == ["Crashed", "Completed"]


def test_there_is_an_end_to_losing_workers(tmp_path: Path) -> None:
    """What kills every worker is not handed out for ever; the message says where to look."""
    plan = Errand(place=Place(workspace=tmp_path), name="deadly", deaths=9)

    with pytest.raises(WorkLostError, match="handed out 2 times, and each time its worker"):
        parent([plan], POOL)

    assert plan.begun == 2


def test_a_failure_is_passed_on_and_the_rest_is_cancelled(tmp_path: Path) -> None:
    """It would fail again, so it is not tried again, and nothing goes on without its parent."""
    place = Place(workspace=tmp_path)
    bad = Errand(place=place, name="bad", fails=True)
    long = Errand(place=place, name="long", seconds=300)

    with pytest.raises(WorkFailedError, match=r"errand bad failed on its worker: .*bad cannot be"):
        parent([long, bad], POOL)

    assert bad.begun == 1
    deadline = time.monotonic() + 60
    while not all(run.state and run.state.is_cancelled() for run in runs_of(long)):
        assert time.monotonic() < deadline, runs_of(long)[-1].state
        time.sleep(0.5)


def test_the_same_command_again_does_what_had_failed(tmp_path: Path) -> None:
    """The cause is gone, say a full disk: the earlier failure stands in nobody's way."""
    plan = Errand(place=Place(workspace=tmp_path), name="mended", deaths=2)
    with pytest.raises(WorkLostError):
        parent([plan], POOL)

    assert parent([plan], POOL) == ["mended is done"]


def test_two_parents_wait_for_one_run(tmp_path: Path) -> None:
    """Started on the same work at the same time, they share it."""
    plan = Errand(place=Place(workspace=tmp_path), name="shared", seconds=6)
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(copy_context().run, parent, [plan], POOL)
        while not runs_of(plan):
            time.sleep(0.2)
        other = threads.submit(copy_context().run, parent, [plan], POOL)

    assert one.result() == other.result() == ["shared is done"]
    assert plan.begun == 1


def test_nobody_waits_for_a_run_that_is_being_cancelled(tmp_path: Path) -> None:
    """The worker that would see to its end may be gone; what was to be done is handed out anew."""
    plan = Errand(place=Place(workspace=tmp_path), name="called-off")
    call_off(taken_and_left(plan))

    assert parent([plan], POOL) == ["called-off is done"]

    assert plan.begun == 1
    assert states_of(plan) == ["Cancelling", "Completed"]


def test_a_run_that_another_calls_off_is_handed_out_anew(tmp_path: Path) -> None:
    """Two parents shared it, and one of them failed: that is no failure of the other."""
    plan = Errand(place=Place(workspace=tmp_path), name="shared-off")
    run = taken_and_left(plan)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(copy_context().run, parent, [plan], POOL)
        time.sleep(2 * POLL_SECONDS)
        waited = not waiting.done()
        call_off(run)

    assert waited
    assert waiting.result() == ["shared-off is done"]
    assert states_of(plan) == ["Cancelling", "Completed"]


def test_a_pool_that_nobody_has_set_up_is_named(tmp_path: Path) -> None:
    """The message says what is asked for, where, and how it comes to be."""
    plan = Errand(place=Place(workspace=tmp_path), name="nowhere")

    with pytest.raises(NoDeploymentError, match=r"no deployment errand/elsewhere.*roundhouse up"):
        parent([plan], WorkersSpec(pool="elsewhere"))
