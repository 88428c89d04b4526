"""Somebody cancels a run on its page: nothing of it goes on, and nothing of it is lost."""

import subprocess
from typing import Any

from prefect.client.schemas.objects import FlowRun

from tests.support.campaign import DEPLOYMENT, Outcome, export_sums, placed
from tests.support.cluster import GPU_WORKERS, PREFECT, Cluster
from tests.support.evidence import holders_in
from tests.support.kills import runs_on
from tests.support.supervised import wait_until

OVER_SECONDS = 120.0  # Prefect lets a process end for 30 of them; 90 if its worker is gone


def test_a_cancelled_run_stops_everywhere_and_goes_on_when_it_is_given_again(
    cluster: Cluster, recipe: dict[str, Any], undisturbed: Outcome
) -> None:
    """Its segments are cancelled, their workers are free again, and the exports are the same."""
    mine = placed(recipe, cluster, "cancelled")
    run = quantize(cluster, mine)
    wait_until(lambda: bool(at_work(cluster)), "the first block in hand")

    subprocess.run([*PREFECT, "flow-run", "cancel", str(run.id)], env=cluster.client, check=True)

    wait_until(
        lambda: {"Cancelled"} == unfinished(cluster, run),
        "all of it to be cancelled",
        lambda: str(unfinished(cluster, run)),
        seconds=OVER_SECONDS,
    )
    assert any(child.state_name == "Cancelled" for child in cluster.children_of(run.id))
    wait_until(lambda: not runs_on(cluster, [*GPU_WORKERS]), "its processes to end")
    again = quantize(cluster, mine)
    wait_until(
        lambda: cluster.run(again.id).state_name == "Completed",
        "the same command to complete",
        lambda: cluster.supervisor.log_of("cpu"),
    )
    assert export_sums(cluster.folder / "exports" / "cancelled") == undisturbed.sums


def quantize(cluster: Cluster, recipe: dict[str, Any]) -> FlowRun:
    """Give the command."""
    parameters = {"recipe": recipe, "workspace": str(cluster.workspace_of("cpu"))}
    return cluster.submit(DEPLOYMENT, parameters, "cancelled")


def at_work(cluster: Cluster) -> set[int]:
    """Return the processes that have a block in hand."""
    alive = {pid for target in runs_on(cluster, [*GPU_WORKERS]) for pid in target.pids}
    return alive & holders_in(cluster.journal)


def unfinished(cluster: Cluster, run: FlowRun) -> set[str | None]:
    """Return the states of a run and of what it has handed out, but for what is completed."""
    all_of = [cluster.run(run.id), *cluster.children_of(run.id)]
    return {one.state_name for one in all_of} - {"Completed"}
