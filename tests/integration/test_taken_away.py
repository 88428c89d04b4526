"""A spot machine is taken away: SIGTERM, and some seconds to put things down."""

import os
import signal
import subprocess
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from prefect.client.schemas.objects import FlowRun

from tests.support.campaign import DEPLOYMENT, Outcome, export_sums, placed
from tests.support.cluster import BUCKET, GPU_WORKERS, PREFECT, Cluster
from tests.support.evidence import blocks_in, holders_in
from tests.support.kills import runs_on
from tests.support.proc import command_of
from tests.support.supervised import wait_until

GONE_SECONDS = 60.0  # what systemd is told to wait
SOON = 30.0  # a run that is found by its silence would take a minute and a half
NAME, RETRIED = "taken-away", "retried"


class AtWork(NamedTuple):
    """A worker whose run has a block in hand."""

    worker: int
    run: int


def test_a_worker_that_must_go_loses_the_block_in_hand_and_no_more(
    cluster: Cluster, recipe: dict[str, Any], undisturbed: Outcome
) -> None:
    """The signal reaches the worker alone, as of systemd and Docker, or all of its processes.

    Its run puts the block down and is handed out again at once.
    """
    run = quantize(cluster, recipe, NAME)
    for crashed, alone in enumerate((True, False), start=1):
        found = next_at_work(cluster)
        for pid in found[:1] if alone else found:
            os.kill(pid, signal.SIGTERM)
        wait_until(partial(are_gone, found), f"{found} to be gone", seconds=GONE_SECONDS)
        heard = partial(has_heard, cluster, run.id, crashed)
        wait_until(heard, f"{crashed} to be Crashed", seconds=SOON)
    completed(cluster, run)

    assert export_sums(cluster.folder / "exports" / NAME) == undisturbed.sums
    states = [child.state_name for child in cluster.children_of(run.id)]
    assert states.count("Crashed") == 2, states
    blocks = blocks_in(cluster.journal, f"{BUCKET}/{NAME}")
    assert sum(len(block.begun) - 1 for block in blocks) <= 2, blocks


def test_a_main_run_that_must_go_is_retried_on_its_page(
    cluster: Cluster, recipe: dict[str, Any], undisturbed: Outcome
) -> None:
    """Its worker lets it say so; the same run then goes on from what is finished."""
    run = quantize(cluster, recipe, RETRIED)
    next_at_work(cluster)
    worker = cluster.supervisor.pid("cpu")
    assert worker is not None
    os.kill(worker, signal.SIGTERM)
    wait_until(lambda: cluster.run(run.id).state_name == "Crashed", "it to say so", seconds=SOON)

    subprocess.run([*PREFECT, "flow-run", "retry", str(run.id)], env=cluster.client, check=True)
    completed(cluster, run)

    assert export_sums(cluster.folder / "exports" / RETRIED) == undisturbed.sums
    blocks = blocks_in(cluster.journal, f"{BUCKET}/{RETRIED}")
    assert sum(len(block.begun) - 1 for block in blocks) <= len(GPU_WORKERS), blocks


def quantize(cluster: Cluster, recipe: dict[str, Any], name: str) -> FlowRun:
    """Give the command."""
    workspace = str(cluster.workspace_of("cpu"))
    parameters = {"recipe": placed(recipe, cluster, name), "workspace": workspace}
    return cluster.submit(DEPLOYMENT, parameters, name)


def completed(cluster: Cluster, run: FlowRun) -> None:
    """Wait until a run has completed."""
    wait_until(
        lambda: cluster.run(run.id).state_name == "Completed",
        "the run to complete",
        lambda: cluster.supervisor.log_of("cpu"),
    )


def has_heard(cluster: Cluster, run: UUID, crashed: int) -> bool:
    """Whether the server knows that so many of a run's children have crashed."""
    return sum(child.state_name == "Crashed" for child in cluster.children_of(run)) >= crashed


def next_at_work(cluster: Cluster) -> AtWork:
    """Wait until a worker's run has a block in hand."""
    found: list[AtWork] = []
    wait_until(lambda: bool(found.extend(at_work(cluster)) or found), "a block in hand")
    return found[0]


def are_gone(pids: AtWork) -> bool:
    """Whether neither of both is there."""
    return not any(command_of(pid) for pid in pids)


def at_work(cluster: Cluster) -> list[AtWork]:
    """Return the workers whose runs have a block in hand."""
    holders = holders_in(cluster.journal)
    found: list[AtWork] = []
    for name in GPU_WORKERS:
        worker = cluster.supervisor.pid(name)
        runs = [pid for target in runs_on(cluster, [name]) for pid in target.pids]
        found += [AtWork(worker, pid) for pid in runs if worker is not None and pid in holders]
    return found
