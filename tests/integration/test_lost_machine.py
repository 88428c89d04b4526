"""A machine is lost with all that ran on it: nobody is left there to report it."""

import time
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling, Pending

from tests.support.campaign import DEPLOYMENT, Outcome, export_sums, placed
from tests.support.cluster import RUN_ID, Cluster
from tests.support.kills import Target, runs_on, strike
from tests.support.proc import environment_of
from tests.support.supervised import wait_until

FOUND_SECONDS = 120.0  # from the machine's end: within that its run must be Crashed
LOST = "gpu-0"


def test_its_run_is_crashed_within_two_minutes_and_done_elsewhere(
    cluster: Cluster, recipe: dict[str, Any], undisturbed: Outcome
) -> None:
    """The missing heartbeats tell; the parent and what runs elsewhere are left alone.

    A run of that machine that was being cancelled is Cancelled in the same time.
    """
    mine = placed(recipe, cluster, "lost")
    parameters = {"recipe": mine, "workspace": str(cluster.workspace_of("cpu"))}
    parent = cluster.submit(DEPLOYMENT, parameters, "lost")

    called_off = cancelled_and_left(cluster)
    lost = lose_machine(cluster)
    since = time.monotonic()
    try:
        wait_until(
            lambda: state_of(cluster, lost) == "Crashed",
            f"{lost} to be Crashed",
            seconds=FOUND_SECONDS,
            poll=0.5,
        )
        found = time.monotonic() - since
        wait_until(
            lambda: state_of(cluster, called_off) == "Cancelled",
            f"{called_off}, which was being cancelled there, to be Cancelled",
            seconds=since + FOUND_SECONDS - time.monotonic(),
        )
        wait_until(
            lambda: state_of(cluster, parent.id) == "Completed",
            "the run to complete",
            lambda: cluster.supervisor.log_of("cpu"),
        )
    finally:
        cluster.supervisor.start(cluster.worker(LOST))

    print(f"the run of a lost machine was Crashed after {found:.0f} s")  # noqa: T201 -- a figure
    crashed = [
        run.id for run in cluster.children_of(parent.id) if "Crashed" in states(cluster, run)
    ]
    assert crashed == [lost]
    assert "Crashed" not in states(cluster, parent)
    assert export_sums(cluster.folder / "exports" / "lost") == undisturbed.sums


def lose_machine(cluster: Cluster) -> UUID:
    """Wait until a worker's run sends heartbeats, and end both; return the run."""
    chosen: list[tuple[Target, UUID]] = []

    def goes_on() -> bool:
        for target in runs_on(cluster, [LOST]):
            told = environment_of(target.pids[0]).get(RUN_ID)  # it may have ended meanwhile
            if told is not None and state_of(cluster, UUID(told)) == "Running":
                chosen.append((target, UUID(told)))
        return bool(chosen)

    wait_until(goes_on, f"a run on {LOST}")
    target, run = chosen[0]
    cluster.supervisor.lose(LOST)
    strike(target)
    return run


def cancelled_and_left(cluster: Cluster) -> UUID:
    """Return a run that a worker had taken and somebody has cancelled; the worker is gone."""
    with cluster.spoken_to() as client:
        deployment = client.read_deployment_by_name(DEPLOYMENT)
        run = client.create_flow_run_from_deployment(deployment.id, state=Pending())
        client.set_flow_run_state(run.id, Cancelling())
    return run.id


def state_of(cluster: Cluster, run: UUID) -> str | None:
    """Return the name of a run's state."""
    return cluster.run(run).state_name


def states(cluster: Cluster, run: FlowRun) -> list[str]:
    """Return the names of all states that a run has been in."""
    with cluster.spoken_to() as client:
        return [state.name or "" for state in client.read_flow_run_states(run.id)]
