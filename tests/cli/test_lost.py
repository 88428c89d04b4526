"""Who is silent for long is lost, and nobody else is taken for it.  These tests mostly wait."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.support.proc import command_of
from tests.support.service import (
    BEGINNING,
    WORKER,
    RunningService,
    start_sleep,
    state_of,
    wait_until,
)

OUTAGE_SECONDS = 75.0  # more than the silence that is put up with, once start and poll are added


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Return a service on the CPU; it is stopped in the end in any case."""
    running = RunningService(tmp_path_factory.mktemp("service") / "workspace")
    told = running.run("up", "--devices", "cpu", "--port", "0", "--webhook-port", "0")
    try:
        assert told.code == 0, told.err
        yield running
    finally:
        running.run("down")


def test_a_server_that_was_away_crashes_no_healthy_run(service: RunningService) -> None:
    """Its clients come back; who could not be heard meanwhile is not taken for lost."""
    with service.client() as client:
        run = start_sleep(client, OUTAGE_SECONDS + 110)
        time.sleep(45)  # until two heartbeats are on record
    os.kill(service.pid("server"), signal.SIGKILL)
    time.sleep(OUTAGE_SECONDS)
    told = service.run("up")

    assert told.code == 0, told.err
    with service.client() as client:
        until = time.monotonic() + 45
        while time.monotonic() < until:
            assert not state_of(client, run).is_crashed(), state_of(client, run).message
            time.sleep(3)
        wait_until(lambda: state_of(client, run).is_completed(), "its end")


def test_a_run_whose_machine_is_lost_is_crashed_within_two_minutes(
    service: RunningService,
) -> None:
    """Worker and run are gone at once; only the missing heartbeats tell."""
    with service.client() as client:
        run = start_sleep(client, 600.0)
        time.sleep(5)  # until its first heartbeat is on record
        engine = next(pid for pid in service.left() if BEGINNING in command_of(pid))
        lost = time.monotonic()
        os.kill(service.pid(WORKER), signal.SIGKILL)
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda: state_of(client, run).is_crashed(), "the automation", 150.0)

        assert time.monotonic() - lost < 120
        assert "No heartbeat" in str(state_of(client, run).message)
