"""The grown-up service on one machine: PostgreSQL, Redis, S3, two API processes, workers.

Everything that could be another machine is another process, with a workspace of its own; what they
share is the bucket and the server.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.settings import temporary_settings

from flows.server import CLIENT_DEFAULTS
from flows.server_process import base_environment, healthy
from flows.service.access import CLIENT_AUTH, ensure_access
from flows.service.automations import ensure_automations
from flows.service.backing import DATABASE, REDIS, backing_of
from flows.service.deploying import register
from flows.service.devices import Device
from flows.service.pools import ensure_pools
from flows.service.recipes import serve_recipes
from flows.service.rendering import Told
from flows.service.workers import WORKERS, Client, Worker, own_environment
from tests.support.databases import postgres, postgres_url, redis_server
from tests.support.proc import environment_of
from tests.support.supervised import Part, Supervisor, answers, free_ports

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "roundhouse"
GPU_WORKERS = ("gpu-0", "gpu-1")
API_PROCESSES = ("api-1", "api-2")
PREFECT = (sys.executable, "-m", "prefect")
SERVING = (sys.executable, "-m", "flows.service.serving")
RUN_ID = "PREFECT__FLOW_RUN_ID"  # in the environment of the process that carries out a run
QUICKER = {  # than the defaults, which are made for hours of work
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_WORKER_PREFETCH_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
}


class Ports(NamedTuple):
    """Where everybody listens, on loopback."""

    postgres: int
    redis: int
    bucket: int
    front: int
    api_1: int
    api_2: int


class Cluster(NamedTuple):
    """A service that runs."""

    folder: Path
    ports: Ports
    supervisor: Supervisor
    client: dict[str, str]  # the environment of whoever speaks to it

    @property
    def api_url(self) -> str:
        """Where all clients speak to the API."""
        return f"http://127.0.0.1:{self.ports.front}/api"

    @property
    def endpoint(self) -> str:
        """Where the bucket is served."""
        return f"http://127.0.0.1:{self.ports.bucket}"

    @property
    def journal(self) -> Path:
        """What was ever written into the bucket."""
        return self.folder / "bucket.jsonl"

    def workspace_of(self, worker: str) -> Path:
        """Return the folder of a worker's own machine."""
        return self.folder / "machines" / worker

    def worker(self, name: str, pool: str = WORKERS, **environment: str) -> Part:
        """Return a worker of a pool, on a machine of its own as far as the others can tell."""
        worker = Worker(name, pool, Device(name, "") if pool == WORKERS else None)
        access = {CLIENT_AUTH: self.client[CLIENT_AUTH]}
        own = own_environment(worker, self.workspace_of(name), Client(self.api_url, access))
        (self.workspace_of(name) / "prefect" / "workers").mkdir(parents=True, exist_ok=True)
        return Part(name, worker.command, self.client | own | QUICKER | environment)

    def register(self, *recipes: Path) -> None:
        """Tell the server of pools, automations and deployments, as `roundhouse up` does."""
        workspace = self.folder / "workspace"
        served = serve_recipes([str(path) for path in recipes], workspace)
        with self.spoken_to() as client:
            ensure_pools(client)
            ensure_automations(client)
            register(Told(served, workspace, None), client)

    @contextlib.contextmanager
    def spoken_to(self) -> Iterator[SyncPrefectClient]:
        """Point Prefect's client in this process at the service."""
        chosen = {
            **CLIENT_DEFAULTS,
            "api.url": self.api_url,
            "api.auth_string": self.client["PREFECT_API_AUTH_STRING"],
        }
        with temporary_settings(chosen), get_client(sync_client=True) as client:
            yield client

    def submit(self, deployment: str, parameters: Mapping[str, Any], name: str) -> FlowRun:
        """Ask for a run of a deployment, as the run form does; it is not waited for."""
        with self.spoken_to():
            run = run_deployment(
                deployment, parameters=dict(parameters), flow_run_name=name, timeout=0
            )
        assert isinstance(run, FlowRun)
        return run

    def run(self, run_id: UUID) -> FlowRun:
        """Return a run as the server knows it."""
        with self.spoken_to() as client:
            return client.read_flow_run(run_id)

    def children_of(self, run_id: UUID) -> list[FlowRun]:
        """Return the runs that a run has handed out."""
        chosen = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run_id]))
        with self.spoken_to() as client:
            return client.read_flow_runs(flow_run_filter=chosen)

    def process_of(self, run_id: UUID) -> int | None:
        """Return the number of the process that carries out a run; None if there is none."""
        for pid in self.supervisor.everything():
            if environment_of(pid).get(RUN_ID) == str(run_id):
                return pid
        return None


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Run the service, without workers, until the block ends."""
    ports = Ports(*free_ports(len(Ports._fields)))
    with tempfile.TemporaryDirectory(prefix="roundhouse-cluster-") as made:
        folder = Path(made)
        folder.chmod(0o711)  # PostgreSQL runs as another user, and must find its data in here
        yield from _running(folder, ports)


def _running(folder: Path, ports: Ports) -> Iterator[Cluster]:
    workspace = folder / "workspace"
    access = ensure_access(workspace)
    with Supervisor(folder) as supervisor:
        client = _client(ports, access.for_client())
        cluster = Cluster(folder, ports, supervisor, client)
        supervisor.start(
            postgres(folder, ports.postgres),
            redis_server(folder, ports.redis),
            _support("bucket", "kept_bucket", ports.bucket, ports.bucket, cluster.journal, BUCKET),
            _support("front", "front", ports.front, ports.front, ports.api_1, ports.api_2),
        )
        server = _server(workspace, ports) | access.for_server()
        first, second = (_api(name, server, port) for name, port in zip(
            API_PROCESSES, (ports.api_1, ports.api_2), strict=True
        ))  # fmt: skip
        supervisor.start(first)  # alone: it creates the database
        services = Part("services", [*SERVING, "server", "services", "start"], server)
        supervisor.start(second, services)
        yield cluster


def _api(name: str, environment: dict[str, str], port: int) -> Part:
    command = [*SERVING, "server", "start", "--no-services", "--host", "127.0.0.1"]
    return Part(
        name,
        [*command, "--port", str(port)],
        environment,
        lambda: healthy(f"http://127.0.0.1:{port}/api"),
    )


def _support(name: str, module: str, port: int, *arguments: object) -> Part:
    command = [sys.executable, "-m", f"tests.support.{module}", *map(str, arguments)]
    return Part(name, command, _base(), lambda: answers(port))


def _server(workspace: Path, ports: Ports) -> dict[str, str]:
    """Return the environment of a server process: as `roundhouse up` makes it."""
    told = {
        DATABASE: postgres_url(ports.postgres),
        REDIS: f"redis://127.0.0.1:{ports.redis}/0",
    }
    backing = backing_of(told)
    front = {"PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{ports.front}/api"}
    return base_environment(workspace, backing, _base()) | front | QUICKER


def _client(ports: Ports, access: dict[str, str]) -> dict[str, str]:
    return {
        **_base(),
        **access,
        "PREFECT_API_URL": f"http://127.0.0.1:{ports.front}/api",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _base() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
