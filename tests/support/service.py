"""A whole service in processes of its own: started by the real command, looked at as a client."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State

from flows import processes, server
from flows.kept import ProcessRecord
from flows.service.rendering import PACKAGED
from flows.service.settings import folder
from tests.support.sleeping import SLEEP

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-c", "from flows.cli import main; main()")
PATIENCE_SECONDS = 240.0
WORKER = "worker-cpu-0"  # of the device
BEGINNING = "flows.service.beginning"  # what a run's process is started by
BEGIN: str = yaml.safe_load(PACKAGED.read_text(encoding="utf-8"))["definitions"]["begun"]["command"]


class Told(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class RunningService(NamedTuple):
    """A service in a workspace."""

    workspace: Path

    def run(self, *arguments: str, **environment: str) -> Told:
        """Run `roundhouse` on this workspace, with tests importable for its workers."""
        ended = subprocess.run(
            [*COMMAND, *arguments, "--workspace", str(self.workspace)],
            cwd=self.workspace.parent,
            env=_environment() | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return Told(ended.returncode, ended.stdout, ended.stderr)

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run `roundhouse` beside the block, and end it with the block in any case."""
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--workspace", str(self.workspace)],
            cwd=self.workspace.parent,
            env=_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()

    @contextlib.contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        """Yield a client of its server, with what opens it."""
        with server.connected(self.workspace), get_client(sync_client=True) as client:
            yield client

    def pid(self, name: str) -> int:
        """Return the number of one of its processes."""
        at = self.workspace if name in ("server", "hub") else folder(self.workspace)
        told = (at / f"{name}.json").read_bytes()
        return ProcessRecord.model_validate_json(told, extra="ignore").pid

    def left(self) -> tuple[int, ...]:
        """Return all processes that carry its mark, whoever started them."""
        marks = (f"{self.workspace}:", f"{folder(self.workspace)}:")
        pids = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
        return tuple(
            pid
            for pid in pids
            if processes.environment(pid).get(processes.MARK, "").startswith(marks)
            and processes.identity(pid) is not None
        )


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    return inherited | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def start_sleep(client: SyncPrefectClient, seconds: float) -> UUID:
    """Start a run that sleeps, on the pool gpu, and wait until it does."""
    flow = client.create_flow_from_name(SLEEP)
    deployment = client.create_deployment(
        flow,
        "test",
        work_pool_name="gpu",
        entrypoint="tests.support.sleeping:sleep",
        pull_steps=[],
        job_variables={"command": BEGIN},
    )
    run = client.create_flow_run_from_deployment(deployment, parameters={"seconds": seconds})
    wait_until(lambda: state_of(client, run).is_running(), "the run to begin")
    return run.id if isinstance(run.id, UUID) else UUID(str(run.id))


def state_of(client: SyncPrefectClient, run: Any) -> State[Any]:
    """Return the state of a run."""
    state = client.read_flow_run(run if isinstance(run, UUID) else run.id).state
    assert state is not None
    return state


def wait_until(ready: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.5)
