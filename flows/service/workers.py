"""The workers of a service: one on the pool of parents, one for each device on the other.

A worker of the pool gpu takes one run at a time and sees one GPU; parents see none, so that what
they compute themselves never takes memory from a segment.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from flows import embedded, processes
from flows.errors import ServerError
from flows.kept import Kept, ProcessRecord
from flows.service.devices import VISIBLE, Device
from flows.service.heartbeats import HEARTBEAT_SECONDS, LEAVING_SECONDS
from infra.environment import WORKSPACE
from infra.files import canonical_json, make_folder

PARENTS, WORKERS = "cpu", "gpu"
THREADS = "OMP_NUM_THREADS"
QUERY_SECONDS = 2  # between two questions for work: cheap on loopback, and runs start at once
GPU_THREADS = 8  # at most: they gather batches, and all cores would have to wait for the server's
STOP_SECONDS = LEAVING_SECONDS + 5.0  # for a worker, which first lets its runs end
RETRIES = 8  # of a request, each after twice as long: a server may be away for minutes


CLIENT_ENVIRONMENT = {
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
    "PREFECT_CLIENT_MAX_RETRIES": str(RETRIES),
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",  # what a server answers while its database is away
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",  # a lost address is an error, not a database
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # reading results must not execute them
    "DO_NOT_TRACK": "1",
}


class Worker(NamedTuple):
    """A worker that is to run."""

    name: str  # as the server shows it
    pool: str
    device: Device | None  # None: parents, who use none
    threads: int | None = None  # of the CPU; None: torch decides

    @property
    def command(self) -> list[str]:
        """How its process is started."""
        one_run = [] if self.device is None else ["--limit", "1"]
        return [
            sys.executable, "-m", "flows.service.working", "--pool", self.pool,
            "--name", self.name, *one_run,
        ]  # fmt: skip


class Client(NamedTuple):
    """What a worker must know of its server."""

    api_url: str
    access: Mapping[str, str]


def workers_on(devices: tuple[Device, ...], cores: int) -> tuple[Worker, ...]:
    """Return all workers of a service on a machine with so many cores."""
    workers = (
        Worker(f"worker-{device.name}", WORKERS, device, share_of(cores, len(devices), device))
        for device in devices
    )
    return (Worker("worker-parents", PARENTS, None), *workers)


def share_of(cores: int, workers: int, device: Device) -> int:
    """Return the threads of one of so many workers of a machine.

    Workers share the cores evenly: where each takes all of them, as torch does by itself, they wait
    for one another, and two took ten times as long for a block as one.  Where a GPU computes, the
    cores have little to do, and some are left to the server.
    """
    share = max(1, cores // max(1, workers))
    return min(share, GPU_THREADS) if device.visible else share


def kept_worker(worker: Worker, workspace: Path, client: Client) -> Kept[ProcessRecord]:
    """Return how a worker is started, and known again."""
    command = worker.command
    own = own_environment(worker, workspace, client)
    digest = hashlib.sha256(canonical_json([command, own])).hexdigest()

    def start(folder: Path, _before: ProcessRecord | None) -> ProcessRecord:
        make_folder(workspace / "logs")
        log = workspace / "logs" / f"{worker.name}.log"
        environment = inherited(os.environ) | own | processes.mark(folder, worker.name)
        pid = processes.start_detached(command, environment=environment, log=log, append=True)
        identity = processes.settled_identity(pid, command)
        if identity is None:
            raise ServerError(
                f"The worker {worker.name} ended at once. Its log is {log}, and ends: "
                f"{embedded.last_lines(log)}."
            )
        return ProcessRecord(pid=pid, identity=identity, wanted=digest)

    return Kept(
        worker.name, ProcessRecord, start, lambda _: True, lambda record: record.wanted == digest,
        STOP_SECONDS,
    )  # fmt: skip


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a worker has of our environment: tokens and keys, but no setting of Prefect's."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("PREFECT_") and name != processes.MARK
    }


def own_environment(worker: Worker, workspace: Path, client: Client) -> dict[str, str]:
    """Return what a worker is told by us."""
    home = workspace / "prefect" / "workers"
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_API_URL": client.api_url,
        **client.access,
        **CLIENT_ENVIRONMENT,
        "PREFECT_WORKER_QUERY_SECONDS": str(QUERY_SECONDS),
        WORKSPACE: str(workspace),
        VISIBLE: "" if worker.device is None else worker.device.visible,
        **({} if worker.threads is None else {THREADS: str(worker.threads)}),
    }
