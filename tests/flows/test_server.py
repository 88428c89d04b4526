"""A server is started once, found again, and leaves nothing behind."""

import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest
from prefect import flow, runtime, task
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.settings import get_current_settings, temporary_settings

from flows import processes, server
from flows.errors import ServerError
from flows.service.automations import OURS, ensure_automations

RUNS, STEPS = 6, 30

ENSURE = (
    "import sys\n"
    "from pathlib import Path\n"
    "from flows import server\n"
    "print(*server.ensure(Path(sys.argv[1])))"
)


def test_a_healthy_server_is_used_again(prefect_workspace: Path) -> None:
    """The second command does not wait for a start."""
    record = server.read_record(prefect_workspace)

    assert server.ensure(prefect_workspace) == (record, "re-used")


def test_the_user_interface_is_there_and_asks_its_own_server(prefect_workspace: Path) -> None:
    """The page that the command prints opens, and knows the port."""
    record = server.read_record(prefect_workspace)
    assert record is not None
    page = f"{record.ui_url}/ui-settings"
    with urllib.request.urlopen(page, timeout=30) as answer:  # noqa: S310 -- loopback
        told = answer.read().decode()

    assert record.api_url in told


@task
def step(number: int) -> int:
    """Say that the run lives, as often as a block would take to be tuned in."""
    run = f"prefect.flow-run.{runtime.flow_run.id}"
    emit_event("prefect.flow-run.heartbeat", resource={"prefect.resource.id": run})
    return number


@flow(name=OURS[0])
def several_steps() -> int:
    """Take some steps."""
    return sum(step(number) for number in range(STEPS))


@pytest.mark.usefixtures("prefect_api_url")
def test_many_runs_at_once_are_all_heard(prefect_workspace: Path) -> None:
    """Its database refuses nobody, so no heartbeat is lost and no healthy run taken for lost."""
    with (
        server.connected(prefect_workspace),
        ThreadPoolExecutor(RUNS) as pool,
        get_client(sync_client=True) as client,
    ):
        ensure_automations(client)
        try:
            running = [pool.submit(copy_context().run, several_steps) for _ in range(RUNS)]

            assert [run.result() for run in running] == [sum(range(STEPS))] * RUNS
            server.send_what_is_left()
        finally:  # other tests' runs send no heartbeats
            for automation in client.read_automations():
                client.delete_automation(automation.id)
    told = (prefect_workspace / "prefect" / "server.log").read_text()
    assert "database is locked" not in told


def test_a_configured_server_is_used_and_never_stopped(
    prefect_api_url: str, prefect_workspace: Path, tmp_path: Path
) -> None:
    """Whoever has set one up keeps it."""
    with server.connected(tmp_path / "workspace", keep=False) as connection:
        assert connection.how == "configured"
        assert connection.api_url == prefect_api_url

    record = server.read_record(prefect_workspace)
    assert record is not None
    assert server.is_alive(record)
    assert not (tmp_path / "workspace").exists()


def test_a_configured_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """The message holds the address, and how to do without."""
    with (
        temporary_settings({"api.url": "http://127.0.0.1:9/api"}),
        pytest.raises(ServerError, match=r"http://127\.0\.0\.1:9/api .*PREFECT_API_URL"),
        server.connected(tmp_path),
    ):
        pass


def test_two_commands_at_once_start_one_server_and_the_last_one_stops_it(tmp_path: Path) -> None:
    """The second waits for the first; a server in use is not stopped by whoever ends first."""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", ENSURE, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    told = sorted(process.communicate()[0].rpartition(" ")[2].strip() for process in both)
    assert told == ["re-used", "started"]

    record = server.read_record(tmp_path)
    assert record is not None
    with temporary_settings(restore_defaults=["api.url"]):
        with server.connected(tmp_path, keep=True) as outer:
            assert get_current_settings().api.url == outer.api_url
            with server.connected(tmp_path, keep=False):
                pass
            assert server.is_alive(record)
        with server.connected(tmp_path, keep=False) as last:
            assert last.how == "re-used"

    assert processes.identity(record.pid) is None
    assert server.read_record(tmp_path) is None


def test_a_server_that_cannot_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    """Nothing is recorded, and no process is left."""
    (tmp_path / "prefect" / "prefect.db").mkdir(parents=True)

    with pytest.raises(
        ServerError, match=r"Prefect's server ended at once\. Its log is .*and ends"
    ):
        server.ensure(tmp_path)
    assert server.read_record(tmp_path) is None
