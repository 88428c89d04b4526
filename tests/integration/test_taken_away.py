"""A spot machine is taken away: SIGTERM, and some seconds to put things down."""

import os
import signal
from functools import partial
from typing import Any, NamedTuple

from tests.support.campaign import DEPLOYMENT, Outcome, export_sums, placed
from tests.support.cluster import BUCKET, GPU_WORKERS, Cluster
from tests.support.evidence import blocks_in, holders_in
from tests.support.kills import runs_on
from tests.support.proc import command_of
from tests.support.supervised import wait_until

GONE_SECONDS = 60.0  # what systemd is told to wait
NAME = "taken-away"


class AtWork(NamedTuple):
    """A worker whose run has a block in hand."""

    worker: int
    run: int


def test_a_worker_that_must_go_loses_the_block_in_hand_and_no_more(
    cluster: Cluster, recipe: dict[str, Any], undisturbed: Outcome
) -> None:
    """The signal reaches all of its processes, as of systemd, or the worker alone, as of Docker.

    The worker ends its run with itself, before that can say so: its silence tells, and it goes on
    elsewhere.
    """
    parameters = {
        "recipe": placed(recipe, cluster, NAME), "workspace": str(cluster.workspace_of("cpu"))
    }  # fmt: skip
    run = cluster.submit(DEPLOYMENT, parameters, NAME)
    for alone in (False, True):
        found = next_at_work(cluster)
        for pid in found[:1] if alone else found:
            os.kill(pid, signal.SIGTERM)
        wait_until(partial(are_gone, found), f"{found} to be gone", seconds=GONE_SECONDS)
    wait_until(
        lambda: cluster.run(run.id).state_name == "Completed",
        "the run to complete",
        lambda: cluster.supervisor.log_of("cpu"),
    )

    assert export_sums(cluster.folder / "exports" / NAME) == undisturbed.sums
    states = [child.state_name for child in cluster.children_of(run.id)]
    assert states.count("Crashed") == 2, states
    blocks = blocks_in(cluster.journal, f"{BUCKET}/{NAME}")
    assert sum(len(block.begun) - 1 for block in blocks) <= 2, blocks


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
