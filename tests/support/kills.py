"""Kinds of processes of a service, and how one of a kind is killed in the middle of its work."""

import contextlib
import os
import random
import signal
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from tests.support.cluster import API_PROCESSES, GPU_WORKERS, RUN_ID, Cluster
from tests.support.evidence import holders_in
from tests.support.proc import environment_of

MACHINE = "ROUNDHOUSE_WORKSPACE"  # in the environment of a worker, and of its runs
STRIKES = 0.2  # of the looks at a block in hand, so that it is not always killed at its start


class Target(NamedTuple):
    """One or more processes that are killed together."""

    name: str
    pids: tuple[int, ...]
    takes: tuple[int, ...] = ()  # processes that may end with them, as their output goes there


def gpu_worker(cluster: Cluster, _run: UUID, random: random.Random) -> Target | None:
    """Return a worker; the run that it has started goes on without it, or ends with it."""
    name = random.choice(GPU_WORKERS)
    takes = tuple(pid for target in runs_on(cluster, [name]) for pid in target.pids)
    target = _part(cluster, name)
    return target and target._replace(takes=takes)


def gpu_run(cluster: Cluster, _run: UUID, random: random.Random) -> Target | None:
    """Return the process that quantizes a segment, captures states or answers questions."""
    found = runs_on(cluster, random.sample(GPU_WORKERS, len(GPU_WORKERS)))
    return found[0] if found else None


def gpu_run_with_block(cluster: Cluster, _run: UUID, random: random.Random) -> Target | None:
    """Return the process of a segment that is in the middle of a block."""
    at_work = holders_in(cluster.journal)
    found = [one for one in runs_on(cluster, [*GPU_WORKERS]) if at_work.issuperset(one.pids)]
    return random.choice(found) if found and random.random() < STRIKES else None


def parent_run(cluster: Cluster, run: UUID, _random: random.Random) -> Target | None:
    """Return the process of the main flow."""
    pid = cluster.process_of(run)
    return None if pid is None else Target("quantize", (pid,))


def cpu_worker(cluster: Cluster, _run: UUID, _random: random.Random) -> Target | None:
    """Return the worker that has started the main flow."""
    return _part(cluster, "cpu")


def api_process(cluster: Cluster, _run: UUID, random: random.Random) -> Target | None:
    """Return one of the processes that serve the API."""
    return _part(cluster, random.choice(API_PROCESSES))


def whole_api(cluster: Cluster, _run: UUID, _random: random.Random) -> Target | None:
    """Return all processes that serve the API."""
    return _parts(cluster, *API_PROCESSES)


def services(cluster: Cluster, _run: UUID, _random: random.Random) -> Target | None:
    """Return the process of schedules, automations and events."""
    return _part(cluster, "services")


def bucket(cluster: Cluster, _run: UUID, _random: random.Random) -> Target | None:
    """Return the S3 server."""
    return _part(cluster, "bucket")


def redis(cluster: Cluster, _run: UUID, _random: random.Random) -> Target | None:
    """Return the server of events and leases."""
    return _part(cluster, "redis")


def postgres(cluster: Cluster, _run: UUID, _random: random.Random) -> Target | None:
    """Return the database."""
    return _part(cluster, "postgres")


Kind = Callable[[Cluster, UUID, random.Random], Target | None]

KINDS: dict[str, Kind] = {
    "GPU worker": gpu_worker,
    "run on a GPU worker": gpu_run,
    "run with a block in hand": gpu_run_with_block,
    "main flow": parent_run,
    "CPU worker": cpu_worker,
    "API process": api_process,
    "both API processes": whole_api,
    "server's services": services,
    "S3 server": bucket,
    "Redis": redis,
    "PostgreSQL": postgres,
}


def strike(target: Target) -> None:
    """Kill what is there of a target."""
    for pid in target.pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def runs_on(cluster: Cluster, workers: list[str]) -> list[Target]:
    """Return the processes of the runs that workers carry out, in the order of the workers."""
    at = {str(cluster.workspace_of(name)): name for name in workers}
    found: list[Target] = []
    for pid in cluster.supervisor.everything():
        told = environment_of(pid)
        if RUN_ID in told and told.get(MACHINE) in at:
            found.append(
                Target(f"{_name_of(cluster, told[RUN_ID])} on {at[told[MACHINE]]}", (pid,))
            )
    return sorted(found, key=lambda target: workers.index(target.name.rpartition(" on ")[2]))


def _name_of(cluster: Cluster, run_id: str) -> str:
    return cluster.run(UUID(run_id)).name


def _part(cluster: Cluster, name: str) -> Target | None:
    return _parts(cluster, name)


def _parts(cluster: Cluster, *names: str) -> Target | None:
    pids = tuple(pid for name in names if (pid := cluster.supervisor.pid(name)) is not None)
    return Target(" and ".join(names), pids) if len(pids) == len(names) else None
