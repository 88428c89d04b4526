"""Real process workers of a work pool, for tests that hand work out."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.deployments.runner import RunnerDeployment
from prefect.settings import temporary_settings
from prefect.types.entrypoint import EntrypointType

from tests.support.service import BEGIN, ROOT


def deploy(api_url: str, pool: str, *flows: Flow[..., Any]) -> None:
    """Register each flow as ``flow/pool``, and the pool."""
    with temporary_settings({"api.url": api_url}), get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"), overwrite=True)
        for each in flows:
            deployment = each.to_deployment(
                pool,
                work_pool_name=pool,
                job_variables={"command": BEGIN},
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
            assert isinstance(deployment, RunnerDeployment)
            deployment.apply()


@contextlib.contextmanager
def working(api_url: str, pool: str, folder: Path, *, count: int = 2) -> Iterator[None]:
    """Run workers that carry out one flow run at a time each, with one thread."""
    workers = [started_worker(api_url, pool, f"{pool}-{number}", folder) for number in range(count)]
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(timeout=30)


def started_worker(api_url: str, pool: str, name: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a worker that carries out one flow run at a time, with a log of its name."""
    environment = os.environ | {
        "PREFECT_API_URL": api_url,
        "PREFECT_WORKER_QUERY_SECONDS": "0.5",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "flows.service.working", "--pool", pool, "--limit", "1"]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--name", name],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
