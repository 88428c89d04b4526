"""`roundhouse up` and `down`: a whole service, twice the same as once, mended, and gone."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Cancelling

from flows import server
from flows.service.access import CLIENT_AUTH, auth_file
from infra.ports import listening_socket
from tests.support.proc import command_of
from tests.support.service import (
    BEGINNING,
    WORKER,
    RunningService,
    Told,
    start_sleep,
    state_of,
    wait_until,
)

DEPLOYMENTS = {"scheduled", "on-demand", "on-tag", "every-5-minutes", "gpu"}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningService, Told]]:
    """Return a service on the CPU, and what was told; it is stopped in the end in any case."""
    running = RunningService(tmp_path_factory.mktemp("service") / "workspace")
    told = running.run("up", "--devices", "cpu", "--port", "0", "--schedule", "0 2 * * 6")
    try:
        assert told.code == 0, told.err
        yield running, told
    finally:
        running.run("down")


@pytest.fixture(scope="module")
def service(started: tuple[RunningService, Told]) -> RunningService:
    """Return the service."""
    return started[0]


def registered(client: SyncPrefectClient) -> dict[str, Any]:
    """Return all that a service tells its server, with the numbers that the server gave."""
    deployments = client.read_deployments()
    return {
        "deployments": {(each.id, each.name, each.entrypoint) for each in deployments},
        "schedules": {
            (schedule.id, schedule.slug, schedule.active)
            for each in deployments
            for schedule in each.schedules
        },
        "automations": {(each.id, each.name) for each in client.read_automations()},
        "pools": {(pool.id, pool.name) for pool in client.read_work_pools()},
    }


def test_everything_is_there(service: RunningService) -> None:
    """Deployments, pools, the automation for lost runs, and a worker that listens on each pool."""

    def listening(pool: str) -> list[str]:
        return [worker.name for worker in client.read_workers_for_work_pool(pool)]

    with service.client() as client:
        found = registered(client)
        wait_until(lambda: listening("cpu") == ["worker-parents"], "the parents' worker")
        wait_until(lambda: listening("gpu") == [WORKER], "the device's worker")

    assert {name for _, name, _ in found["deployments"]} == DEPLOYMENTS
    assert len(found["deployments"]) == 9
    assert {name for _, name in found["automations"]} == {
        "flow run lost", "flow run never began", "release-on-tag"
    }  # fmt: skip
    assert {name for _, name in found["pools"]} == {"cpu", "gpu"}
    assert [(slug, active) for _, slug, active in found["schedules"]] == [("quantize", True)]


def test_twice_is_the_same_as_once_and_a_pause_is_kept(service: RunningService) -> None:
    """No process is started, nothing is registered anew, also when something else has changed."""
    with service.client() as client:
        scheduled = client.read_deployment_by_name("quantize/scheduled")
        (schedule,) = scheduled.schedules
        client.update_deployment_schedule(scheduled.id, schedule.id, active=False)
        before = registered(client)
        pids = {name: service.pid(name) for name in ("server", "worker-parents", WORKER)}
        again = service.run("up")
        changed = service.run("up", "--schedule", "0 3 * * 6")
        after = registered(client)
        (schedule,) = client.read_deployment_by_name("quantize/scheduled").schedules

    assert (again.code, changed.code) == (0, 0), again.err + changed.err
    assert "started" not in again.out
    assert pids == {name: service.pid(name) for name in pids}
    assert {key: after[key] for key in ("deployments", "pools")} == {
        key: before[key] for key in ("deployments", "pools")
    }
    assert {name for _, name in after["automations"]} == {name for _, name in before["automations"]}
    assert len(after["automations"]) == 3
    assert (schedule.schedule.cron, schedule.active) == ("0 3 * * 6", False)


def test_nobody_gets_in_without_the_string(service: RunningService) -> None:
    """A wrong one is told as such, in one paragraph that does not repeat it."""
    record = server.read_record(service.workspace)
    assert record is not None
    api = record.api_url
    wrong = service.run("run", "demo", PREFECT_API_URL=api, **{CLIENT_AUTH: "me:guessed"})
    none = service.run("run", "demo", PREFECT_API_URL=api)

    for told in (wrong, none):
        assert told.code == 5, told.err
        assert f"The Prefect server at {api} refuses us" in told.err
        assert "prefect/auth" in told.err
        assert "Traceback" not in told.err
    assert "guessed" not in wrong.err
    assert f"{CLIENT_AUTH} is not set" in none.err


def test_the_string_is_nowhere_but_in_its_file(started: tuple[RunningService, Told]) -> None:
    """Not in what is printed, in no log, and in no command line."""
    service, told = started
    word = auth_file(service.workspace).read_text(encoding="ascii").strip()
    assert str(auth_file(service.workspace)) in told.out
    logs = [*(service.workspace / "logs").iterdir(), service.workspace / "prefect" / "server.log"]
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in service.left()]

    assert lines
    assert all(word not in text for text in (told.out, told.err, *lines))
    assert all(word not in path.read_text(errors="replace") for path in logs)


def test_a_worker_that_was_killed_is_mended_and_its_run_is_handed_back(
    service: RunningService,
) -> None:
    """The run that it left behind ends, and the server is told: nobody waits for heartbeats."""
    with service.client() as client:
        run = start_sleep(client, 600.0)
        os.kill(service.pid(WORKER), signal.SIGKILL)
        told = service.run("up")

        assert told.code == 0, told.err
        assert state_of(client, run).is_crashed()
        runs = [pid for pid in service.left() if BEGINNING in command_of(pid)]
        assert runs == []
        after = start_sleep(client, 1.0)
        wait_until(lambda: state_of(client, after).is_completed(), "the next run")


def test_a_run_that_was_being_cancelled_ends_with_its_worker(
    service: RunningService,
) -> None:
    """It says so itself, or the server is told; nobody waits for a worker that is gone."""
    with service.client() as client:
        run = start_sleep(client, 600.0)
        os.kill(service.pid(WORKER), signal.SIGKILL)
        client.set_flow_run_state(run, Cancelling())
        assert service.run("up").code == 0

        assert state_of(client, run).is_final()


def test_what_cannot_be_a_revision_is_refused_before_a_run_exists(service: RunningService) -> None:
    """Whoever asks, and however: the server names the field and what it may be."""
    with service.client() as client:
        deployment = client.read_deployment_by_name("quantize/on-demand")
        recipe = deployment.parameters["recipe"]
        bad = recipe | {"model": recipe["model"] | {"revision": "v1..v2"}}
        with pytest.raises(PrefectHTTPStatusError) as refused:
            client.create_flow_run_from_deployment(deployment.id, parameters={"recipe": bad})

    told = refused.value.response.json()["detail"]
    assert "'recipe.model.revision'" in told
    assert "'v1..v2' does not match" in told


def test_down_leaves_nothing_running_and_all_data(service: RunningService) -> None:
    """Also of what a worker has started, which is nobody's child by then."""
    assert service.run("up").code == 0
    with service.client() as client:
        start_sleep(client, 600.0)
    told = service.run("down")

    assert told.code == 0, told.err
    assert f"{WORKER}, worker-parents, server, hub." in told.out
    assert service.left() == ()
    assert service.run("down").out == "Nothing of this workspace runs.\n"


def test_a_port_that_is_taken_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    """With what to do; no other port is taken instead, because people were told this one."""
    running = RunningService(tmp_path / "workspace")
    with listening_socket("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        told = running.run("up", "--devices", "cpu", "--port", str(port))

    assert told.code == 5
    assert f"cannot listen on 127.0.0.1:{port}" in told.err
    assert "--port" in told.err
    assert running.left() == ()


def test_a_server_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    """In one paragraph, with where its address comes from."""
    running = RunningService(tmp_path / "workspace")
    told = running.run("run", "demo", PREFECT_API_URL="http://127.0.0.1:9/api")

    assert told.code == 5
    assert "The Prefect server at http://127.0.0.1:9/api does not answer" in told.err
    assert "PREFECT_API_URL" in told.err
    assert "Traceback" not in told.err
