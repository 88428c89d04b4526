"""A run is heard of from the beginning of its process, whatever its flow still imports."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.filters import (
    EventFilter,
    EventNameFilter,
    EventRelatedFilter,
    EventResourceFilter,
)
from prefect.events.schemas.events import ResourceSpecification
from prefect.states import Cancelling, Pending

from flows.service.begun import Begun, beating
from flows.service.heartbeats import HEARTBEAT
from infra.environment import RUN
from tests.support.service import BEGIN, BEGINNING, ROOT, state_of, wait_until
from tests.support.slow_to_import import AWAITED

WRITTEN_SECONDS = 6.0  # after which the server has written down all that it has heard


@pytest.fixture
def client() -> Iterator[SyncPrefectClient]:
    """Return a client of the session's server."""
    with get_client(sync_client=True) as opened:
        yield opened


def asked_for(client: SyncPrefectClient, entrypoint: str) -> UUID:
    """Return a run of a deployment that nobody works on."""
    flow = client.create_flow_from_name("begun")
    deployment = client.create_deployment(
        flow, entrypoint, entrypoint=entrypoint, pull_steps=[], path="."
    )
    return client.create_flow_run_from_deployment(deployment).id


def told(run: UUID, api_url: str) -> dict[str, str]:
    """Return the environment that a run's process has from its worker."""
    return os.environ | {"PREFECT_API_URL": api_url, "PYTHONPATH": str(ROOT), RUN: str(run)}


def begun(run: UUID, api_url: str, folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start the process of a run as a worker does."""
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", BEGINNING],
            cwd=folder,
            env=told(run, api_url) | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def heartbeats(client: SyncPrefectClient, run: UUID, flow: str | None = None) -> int:
    """Return how many heartbeats of a run the server has heard; such as name its flow, if asked."""
    asked = EventFilter(
        event=EventNameFilter(name=[HEARTBEAT]),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{run}"]),
    )
    if flow is not None:
        labels = ResourceSpecification(
            {"prefect.resource.role": "flow", "prefect.resource.name": flow}
        )
        asked.related = EventRelatedFilter(labels=labels)
    return client.read_events(asked, limit=50).total


def test_a_run_is_heard_of_before_its_flow_is_imported(
    client: SyncPrefectClient, prefect_api_url: str, tmp_path: Path
) -> None:
    """And begins, by Prefect's engine, as soon as it is."""
    run = asked_for(client, "tests.support.slow_to_import:slow_to_import")
    awaited = tmp_path / "awaited"
    process = begun(run, prefect_api_url, tmp_path, **{AWAITED: str(awaited)})
    try:
        wait_until(lambda: heartbeats(client, run) > 0, "its first heartbeat", 60.0)
        assert heartbeats(client, run, flow="begun") == heartbeats(client, run)
        assert state_of(client, run).is_scheduled()

        awaited.touch()
        assert process.wait(60) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()
    assert state_of(client, run).is_completed()


AS_A_WORKER = (
    "import shlex, subprocess, sys;"
    "sys.exit(subprocess.call(shlex.split(sys.argv[1]), cwd='/'))"  # a worker's runs have their own
)
OURS = Path(sys.executable)


@pytest.mark.parametrize(
    ("python", "folder", "path"),
    [
        (str(OURS), "/", os.defpath),
        (f"{OURS.parent.name}/{OURS.name}", OURS.parents[1], os.defpath),
        (OURS.name, "/", f"{OURS.parent}:{os.defpath}"),
    ],
    ids=["absolute", "relative", "on its path"],
)
def test_a_run_begins_by_the_python_of_its_worker(
    client: SyncPrefectClient, prefect_api_url: str, python: str, folder: str, path: str
) -> None:
    """However that was named, and whatever else there is on the machine."""
    run = asked_for(client, "tests.support.slow_to_import:slow_to_import")
    worker = subprocess.run(
        [python, "-c", AS_A_WORKER, BEGIN],
        executable=sys.executable,
        cwd=folder,
        env=told(run, prefect_api_url) | {"PATH": path},
        check=False,
        timeout=60,
    )

    assert worker.returncode == 0
    assert state_of(client, run).is_completed()


def test_a_run_goes_on_when_its_worker_has_died(
    client: SyncPrefectClient, prefect_api_url: str, tmp_path: Path
) -> None:
    """What it prints, and what its log says, goes nowhere then; the run ends as it would have."""
    run = asked_for(client, "tests.support.slow_to_import:slow_to_import")
    process = subprocess.Popen(
        [sys.executable, "-m", BEGINNING],
        cwd=tmp_path,
        env=told(run, prefect_api_url) | {"PREFECT_LOGGING_LEVEL": "INFO"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    process.stdout.close()

    assert process.wait(60) == 0
    assert state_of(client, run).is_completed()


def test_what_was_cancelled_before_it_begins_ends_at_once(
    client: SyncPrefectClient, prefect_api_url: str, tmp_path: Path
) -> None:
    """A worker does not see to what it has only taken; nothing of the flow is imported."""
    run = asked_for(client, "tests.support.nowhere:nothing")
    client.set_flow_run_state(run, Pending())
    client.set_flow_run_state(run, Cancelling())
    process = begun(run, prefect_api_url, tmp_path)

    assert process.wait(60) == 0, (tmp_path / "log").read_text()
    assert state_of(client, run).is_cancelled()
    assert "before it began" in str(state_of(client, run).message)


def test_a_flow_that_cannot_be_imported_is_told_by_the_engine(
    client: SyncPrefectClient, prefect_api_url: str, tmp_path: Path
) -> None:
    """In the log, with what is missing; the worker sees a process that failed."""
    run = asked_for(client, "tests.support.nowhere:nothing")
    process = begun(run, prefect_api_url, tmp_path)

    assert process.wait(60) == 1
    log = (tmp_path / "log").read_text()
    assert "No module named 'tests.support.nowhere'" in log
    assert "trying to load flow" in log


def test_heartbeats_go_on_and_end_with_the_beginning(client: SyncPrefectClient) -> None:
    """The engine's own follow."""
    run = uuid4()
    with beating(Begun(run, uuid4(), "quantize", None), 0.5):
        wait_until(lambda: heartbeats(client, run) > 2, "three heartbeats", 60.0)
    time.sleep(WRITTEN_SECONDS)
    after = heartbeats(client, run)
    time.sleep(WRITTEN_SECONDS)

    assert heartbeats(client, run) == after
