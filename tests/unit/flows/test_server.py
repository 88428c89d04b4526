"""What is written down about a server is believed only as far as it can be checked."""

import os
from pathlib import Path

import pytest
from prefect.settings import Settings

from flows import processes, server, server_process
from flows.server_process import Wanted
from flows.service.heartbeats import PATIENCE


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"no json", b'{"pid": "7", "port": 1, "identity": ""}', b'{"pid": 1}']
)
def test_a_damaged_record_is_no_record(tmp_path: Path, data: bytes) -> None:
    """A server is started anew; nothing is signalled."""
    (tmp_path / "server.json").write_bytes(data)

    assert server.read_record(tmp_path) is None


def test_another_process_of_the_same_number_is_not_ours(tmp_path: Path) -> None:
    """Numbers are used again; this one has long been someone else's, and must not be stopped."""
    record = server.ServerRecord(pid=os.getpid(), port=4200, identity="1 prefect server start")
    (tmp_path / "server.json").write_text(record.model_dump_json())

    assert not server.is_alive(record)
    assert server.stop(tmp_path) is False
    assert server.read_record(tmp_path) is None


def test_a_process_that_does_not_answer_is_not_alive() -> None:
    """It hangs, or is no server."""
    record = server.ServerRecord(
        pid=os.getpid(), port=9, identity=str(processes.identity(os.getpid()))
    )

    assert not server.is_alive(record)


def test_stopping_in_a_folder_without_a_server_does_nothing(tmp_path: Path) -> None:
    """It does not even make the folder."""
    assert server.stop(tmp_path / "none") is False
    assert not (tmp_path / "none").exists()


def test_the_server_keeps_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its data are in the workspace, it reports nothing, and no secret is handed on."""
    for name in ("PREFECT_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hidden")
    environment = server_process._environment(tmp_path, Wanted(), 4321)

    assert environment["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["DO_NOT_TRACK"] == "1"
    assert environment["PREFECT_SERVER_UI_API_URL"] == "http://127.0.0.1:4321/api"
    assert "hidden" not in environment.values()


def test_the_server_ends_what_is_cancelled_and_nobody_sees_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After as long as a run may be silent; Prefect's own waits for five minutes."""
    told = server_process.CANCELLING
    monkeypatch.setenv(told, server_process._environment(tmp_path, Wanted(), 4321)[told])

    understood = Settings().server.services.cancellation_cleanup

    assert understood.cancelling_timeout_seconds == PATIENCE.total_seconds()
