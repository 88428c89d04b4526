"""The doctor names what is not well, and what to do; and finds nothing where all is."""

import datetime as dt
import http.server
import json
import os
import threading
from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from flows import processes
from flows.cli import doctoring
from flows.cli.exits import Exit
from flows.kept import ListeningRecord, ProcessRecord
from flows.recipe import Recipe
from flows.recipefile import check
from flows.server_process import ServerRecord
from flows.service.access import ensure_access
from flows.service.doctor import machine, outside, own
from flows.service.settings import ServiceSettings, folder, write_settings
from infra.ports import listening_socket

RECIPE = {
    "name": "mine",
    "model": {"source": "packaged:demo"},
    "quantization": {"iters": 0},
    "export": {"output_dir": "out"},
}


class Clock(http.server.BaseHTTPRequestHandler):
    """Answer every request with a refusal, and with the time of another planet."""

    behind = dt.timedelta()

    def do_HEAD(self) -> None:
        """Answer."""
        self.send_response_only(403)
        told = dt.datetime.now(dt.UTC) - self.behind
        self.send_header("Date", format_datetime(told, usegmt=True))
        self.end_headers()


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the address of a server whose clock is so many seconds behind."""
    behind = dt.timedelta(seconds=request.param)
    kind = type("Late", (Clock,), {"behind": behind})
    with http.server.HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def recipe_with(**sections: object) -> Recipe:
    """Return a small recipe."""
    return check(RECIPE | sections, "here")


def test_a_package_that_does_not_fit_is_named_with_what_is_needed() -> None:
    """As with the pair of Prefect and FastAPI of which no server starts."""
    wanted = [Requirement("fastapi>=0.139,<0.151"), Requirement("prefect>=3"), Requirement("rich")]
    installed = {"fastapi": "0.165.0", "prefect": "3.9.1"}

    fastapi, rich = machine.unmet(wanted, installed.get)

    assert fastapi == "fastapi is 0.165.0, and <0.151,>=0.139 is needed"
    assert rich.startswith("rich is not installed")


def test_what_the_tests_run_with_fits() -> None:
    """The requirements of the package itself are read."""
    (found,) = machine.versions()

    assert found.state == "ok"
    assert "torch" in found.seen


def test_a_workspace_that_is_not_there_yet_is_looked_at_above(tmp_path: Path) -> None:
    """Its disk is that of the folder that it will be made in."""
    assert str(tmp_path) in machine.disk(tmp_path / "not" / "yet").seen


def test_too_little_is_told_by_how_little() -> None:
    """Less than comfortable may do, less than the least will not."""
    enough = machine.Enough(2, 50)

    states = [machine._enough("disk", "", free, enough, "buy").state for free in (1.0, 10.0, 60.0)]
    assert states == ["fail", "warn", "ok"]


def test_a_folder_store_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    """Nothing is left behind, and a store that cannot be written is found."""
    recipe = recipe_with(store={"uri": str(tmp_path / "store")})
    assert outside.store(recipe, tmp_path).state == "ok"
    assert list((tmp_path / "store").glob(".doctor*")) == []

    (tmp_path / "file").write_text("")
    found = outside.store(recipe_with(store={"uri": str(tmp_path / "file" / "below")}), tmp_path)
    assert found.state == "fail"
    assert str(tmp_path / "file") in found.seen


def test_a_bucket_that_cannot_be_reached_is_found(tmp_path: Path) -> None:
    """With what the store itself says of it."""
    with listening_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
    store = {"uri": "s3://bucket/prefix", "endpoint": f"http://127.0.0.1:{port}"}
    found = outside.store(recipe_with(store=store), tmp_path)

    assert found.state == "fail"
    assert str(port) in found.seen


@pytest.mark.parametrize(("clock", "state"), [(0, "ok"), (3600, "fail")], indirect=["clock"])
def test_a_clock_that_is_wrong_is_found(clock: str, state: str) -> None:
    """A refusal tells the time as well as an answer."""
    (found,) = outside.clock("clock", clock)

    assert found.state == state
    assert (found.remedy == "") == (state == "ok")


def test_a_server_that_has_died_is_told_from_one_that_never_was(tmp_path: Path) -> None:
    """Both are mended by the same command."""
    (none,) = own.server(tmp_path)
    record = ServerRecord(pid=os.getpid(), port=4200, identity="another")
    (tmp_path / "server.json").write_text(record.model_dump_json())
    (dead,) = own.server(tmp_path)

    assert (none.state, dead.state) == ("warn", "fail")
    assert "roundhouse up" in none.remedy
    assert "it has died" in dead.seen


def test_processes_that_have_died_are_named(tmp_path: Path) -> None:
    """With the log to look into; those that run are, too."""
    at = folder(tmp_path)
    at.mkdir()
    alive = ProcessRecord(pid=os.getpid(), identity=str(processes.identity(os.getpid())))
    (at / "worker-gpu-0.json").write_text(alive.model_dump_json())
    (at / "worker-gpu-1.json").write_text(
        alive.model_copy(update={"identity": ""}).model_dump_json()
    )
    (at / "asked.json").write_text("{}")
    first, second = own.members(tmp_path)

    assert (first.state, second.state) == ("ok", "fail")
    assert "worker-gpu-1.log" in second.remedy


def test_secrets_that_others_can_read_are_found(tmp_path: Path) -> None:
    """Nothing of them is repeated."""
    made = ensure_access(tmp_path, {})
    (tmp_path / "prefect" / "auth").chmod(0o644)
    auth, key = own.private_files(tmp_path)

    assert (auth.state, key.state) == ("fail", "ok")
    assert "mode 644" in auth.seen
    assert made.auth not in auth.model_dump_json()


def test_findings_are_printed_for_people_and_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both end with the code of an environment that will not do, if something will not."""
    at = folder(tmp_path)
    at.mkdir()
    dead = ProcessRecord(pid=os.getpid(), identity="")
    (at / "worker-gpu-0.json").write_text(dead.model_dump_json())

    assert doctoring.run(tmp_path, (), as_json=True) is Exit.ENVIRONMENT
    told = json.loads(capsys.readouterr().out)
    assert {"name", "state", "seen", "remedy"} == told[0].keys()
    assert doctoring.run(tmp_path, (), as_json=False) is Exit.ENVIRONMENT
    assert "has died" in " ".join(capsys.readouterr().out.split())


def ports_of(workspace: Path) -> dict[str, str]:
    """Return what is told of the server's port and of the receiver's."""
    server, _, receiver = own.ports(workspace)
    return {"server": server.state, "receiver": receiver.state}


def test_the_ports_that_were_asked_for_are_looked_at(tmp_path: Path) -> None:
    """Used by a process of ours they are well; by another one, or a dead one, they are not."""
    with listening_socket("127.0.0.1", 0) as one, listening_socket("127.0.0.1", 0) as other:
        ports = [each.getsockname()[1] for each in (one, other)]
        asked = ServiceSettings(port=ports[0], webhook_port=ports[1])
        write_settings(tmp_path, asked)
        taken = ports_of(tmp_path)
        mine = ListeningRecord(
            pid=os.getpid(), identity=str(processes.identity(os.getpid())), port=ports[1]
        )
        record = folder(tmp_path) / "receiver.json"
        record.write_text(mine.model_dump_json())
        ours = ports_of(tmp_path)
        record.write_text(mine.model_copy(update={"identity": "another"}).model_dump_json())
        dead = ports_of(tmp_path)
    write_settings(tmp_path, ServiceSettings(port=0, webhook_port=0))

    assert taken == {"server": "warn", "receiver": "warn"}
    assert ours == {"server": "warn", "receiver": "ok"}
    assert dead == taken
    assert ports_of(tmp_path) == {"server": "ok", "receiver": "ok"}


def test_the_recipes_of_the_service_are_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody has to name them again; a store that cannot be used is found."""
    recipe = tmp_path / "mine.yaml"
    (tmp_path / "file").touch()
    store = {"uri": str(tmp_path / "file" / "below")}
    recipe.write_text(yaml.safe_dump(RECIPE | {"store": store}))
    write_settings(tmp_path, ServiceSettings(recipes=(str(recipe),)))

    assert doctoring.run(tmp_path, (), as_json=True) is Exit.ENVIRONMENT
    told = json.loads(capsys.readouterr().out)
    failed = [each["name"] for each in told if each["state"] == "fail"]
    assert failed == [outside.store(recipe_with(store=store), tmp_path).name]
