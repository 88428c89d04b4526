"""`roundhouse up` on PostgreSQL and Redis: the same service, with several API processes."""

import os
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient

from flows.kept import ListeningRecord
from flows.service.backing import DATABASE, REDIS
from flows.service.settings import folder
from tests.support.databases import postgres, postgres_url, redis_server
from tests.support.service import RunningService, Told, start_sleep, state_of, wait_until
from tests.support.supervised import Supervisor, free_ports

TWO = ("--api-processes", "2", "--cpu-workers", "2", "--devices", "cpu")
API_2 = "api-2"
ANY_PORTS = ("--port", "0", "--webhook-port", "0")


class Backed(NamedTuple):
    """A service whose server keeps its data elsewhere."""

    service: RunningService
    environment: dict[str, str]

    def run(self, *arguments: str) -> Told:
        """Run `roundhouse` as somebody does who has set where the data are."""
        return self.service.run(*arguments, **self.environment)


@pytest.fixture
def backed() -> Iterator[Backed]:
    """Return a service that is not started yet, with its PostgreSQL and Redis running."""
    database, memory = free_ports(2)
    told = {DATABASE: postgres_url(database), REDIS: f"redis://127.0.0.1:{memory}/0"}
    with tempfile.TemporaryDirectory() as made, Supervisor(Path(made)) as supervisor:
        place = Path(made)
        place.chmod(0o711)  # PostgreSQL runs as another user, and must find its data in here
        supervisor.start(postgres(place, database), redis_server(place, memory))
        service = RunningService(place / "workspace")
        try:
            yield Backed(service, told)
        finally:
            service.run("down", **told)


def test_up_mends_an_api_process_and_down_leaves_nothing(backed: Backed) -> None:
    """A run whose worker speaks to the process that died goes on, and ends as the other one."""
    first = backed.run("up", *TWO, *ANY_PORTS)
    assert first.code == 0, first.err
    service = backed.service
    again = backed.run("up", *TWO)
    assert again.code == 0, again.err
    assert "started" not in again.out, again.out
    apis, before = [service.pid(name) for name in ("server", API_2)], address_of(service, API_2)
    with service.client() as client:
        runs = [start_sleep(client, 40.0), start_sleep(client, 40.0)]  # one worker for each process
        os.kill(apis[1], signal.SIGKILL)
        mended = backed.run("up", *TWO)

        assert mended.code == 0, mended.err
        assert service.pid("server") == apis[0]
        assert service.pid(API_2) != apis[1]
        assert address_of(service, API_2) == before
        for run in runs:
            wait_until(partial(is_over, client, run), "a run to end")
            assert state_of(client, run).is_completed(), state_of(client, run).message
    down = backed.run("down")
    assert down.code == 0, down.err
    assert service.left() == ()
    assert not list(service.workspace.rglob("prefect.db"))


def is_over(client: SyncPrefectClient, run: UUID) -> bool:
    """Whether a run has ended, in whatever way."""
    return state_of(client, run).is_final()


def address_of(service: RunningService, name: str) -> str:
    """Return where a member of a service listens."""
    told = (folder(service.workspace) / f"{name}.json").read_bytes()
    return ListeningRecord.model_validate_json(told).address
