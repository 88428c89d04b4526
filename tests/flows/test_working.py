"""A worker that is told to end lets its runs end first, and takes no more."""

import asyncio
import hashlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.deployments import run_deployment
from prefect.workers.process import ProcessWorker

from flows.service.graceful import GracefulWorker
from tests.support.service import state_of, wait_until
from tests.support.sleeping import SLEEP, sleep
from tests.support.workers import deploy, started_worker

SOON = 30.0  # a run that is found by its silence would take a minute and a half
AGES = 600.0
POOL = "working-in-this-process"


class World(NamedTuple):
    """A worker that takes one run at a time, and what it is asked for."""

    client: SyncPrefectClient
    worker: subprocess.Popen[bytes]
    pool: str
    log: Path

    def asked_for(self, seconds: float) -> UUID:
        """Ask for a run that takes so long."""
        asked = {"seconds": seconds}
        return run_deployment(f"{SLEEP}/{self.pool}", parameters=asked, timeout=0).id  # type: ignore[union-attr]

    def begun(self, seconds: float) -> UUID:
        """Ask for a run, and wait until it is under way."""
        run = self.asked_for(seconds)
        wait_until(lambda: state_of(self.client, run).is_running(), "the run to begin", 60.0)
        return run


@pytest.fixture
def world(prefect_api_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """Run one worker."""
    pool = f"working-{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}"
    deploy(prefect_api_url, pool, sleep)
    worker = started_worker(prefect_api_url, pool, "worker", tmp_path)
    with get_client(sync_client=True) as client:
        yield World(client, worker, pool, tmp_path / "worker.log")
    worker.kill()
    worker.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_its_run_says_itself_that_it_has_crashed(world: World, number: signal.Signals) -> None:
    """At once, so that whoever has handed it out hands it out again; the worker ends well."""
    run = world.begun(AGES)

    world.worker.send_signal(number)
    assert world.worker.wait(SOON) == 0

    assert state_of(world.client, run).is_crashed()
    assert "termination signal" in str(state_of(world.client, run).message)


def test_what_waits_is_left_to_another_worker(world: World) -> None:
    """Though there is room for it as soon as the run in hand has ended."""
    world.begun(AGES)
    waiting = world.asked_for(0.0)

    world.worker.send_signal(signal.SIGTERM)
    assert world.worker.wait(SOON) == 0

    assert state_of(world.client, waiting).is_scheduled()


def test_what_was_being_taken_is_handed_back(prefect_api_url: str) -> None:
    """A look for work that was under way finds something: the run is as due as it was before."""
    deploy(prefect_api_url, POOL, sleep)
    worker = GracefulWorker(POOL, name="tycho-gpu-0", limit=1)

    async def left(due: Callable[[], bool]) -> None:
        async with worker:
            await worker.sync_with_backend()
            await worker.leave(patience_seconds=0.0)
            assert await ProcessWorker.get_and_submit_flow_runs(worker)
            while not due():  # noqa: ASYNC110 -- the server knows, and does not tell
                await asyncio.sleep(0.2)

    with get_client(sync_client=True) as client:
        run = run_deployment(f"{SLEEP}/{POOL}", parameters={"seconds": AGES}, timeout=0).id  # type: ignore[union-attr]
        asyncio.run(
            asyncio.wait_for(left(lambda: "handed it back" in str(state_of(client, run))), SOON)
        )

        assert state_of(client, run).is_scheduled()


def test_a_worker_without_work_ends_at_once(world: World) -> None:
    """It has said that it is there, and is not waited for."""
    wait_until(lambda: "started!" in world.log.read_text(), "the worker", 60.0)

    world.worker.send_signal(signal.SIGTERM)
    assert world.worker.wait(SOON) == 0
