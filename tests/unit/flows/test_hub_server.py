"""A workspace's own Hub is started once, found again, and believed only as far as it is checked."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi, constants

from flows import hub_server, processes
from flows.errors import HubStartError


def test_it_is_started_once_and_keeps_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands at once share it; after a stop it is where it was, with the same token."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    workspace = tmp_path / "workspace"
    try:
        with ThreadPoolExecutor(2) as pool:
            (first, how), (second, other) = pool.map(hub_server.ensure, [workspace, workspace])
        token = hub_server.token_file(workspace).read_text().strip()
        HfApi(endpoint=first.endpoint, token=token).create_repo("anybody/x")

        assert first == second
        assert {how, other} == {"started", "re-used"}
        assert hub_server.stop(workspace)
        assert not hub_server.stop(workspace)
        again, how = hub_server.ensure(workspace)

        assert how == "started"
        api = HfApi(endpoint=again.endpoint, token=token)
        assert api.whoami()["name"] == "owner"
        assert api.repo_exists("anybody/x")
        assert token == hub_server.token_file(workspace).read_text().strip()
    finally:
        hub_server.stop(workspace)


def test_two_workspaces_whose_hubs_start_at_once_have_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither takes the other's answers for its own's: each knows its own owner's token."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    workspaces = [tmp_path / "one", tmp_path / "other"]
    for workspace in workspaces:
        hub_server.folder(workspace).mkdir(parents=True)
    try:
        with ThreadPoolExecutor(2) as pool:
            records = [record for record, _ in pool.map(hub_server.ensure, workspaces)]

        assert records[0].port != records[1].port
        for record, workspace in zip(records, workspaces, strict=True):
            token = hub_server.token_file(workspace).read_text().strip()
            assert HfApi(endpoint=record.endpoint, token=token).whoami()["name"] == "owner"
    finally:
        for workspace in workspaces:
            hub_server.stop(workspace)


def test_its_secrets_are_its_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is in a file for this user alone, and in no command line and no environment."""
    monkeypatch.setenv("HF_TOKEN", "hidden")
    try:
        record, _ = hub_server.ensure(tmp_path)
        token = hub_server.token_file(tmp_path).read_text().strip()

        assert stat.S_IMODE(hub_server.token_file(tmp_path).stat().st_mode) == 0o600
        assert stat.S_IMODE(hub_server.folder(tmp_path).stat().st_mode) == 0o700
        for name in ("cmdline", "environ"):
            shown = Path(f"/proc/{record.pid}/{name}").read_bytes()
            assert token.encode() not in shown
            assert b"hidden" not in shown
        assert httpx2.get(f"{record.endpoint}/api/whoami-v2", trust_env=False).status_code == 401
    finally:
        hub_server.stop(tmp_path)


@pytest.mark.parametrize("data", [b"", b"{}", b"no json", b'{"pid": 1, "port": 1, "identity": ""}'])
def test_a_damaged_record_is_no_record(tmp_path: Path, data: bytes) -> None:
    """A Hub is started anew; nothing is signalled."""
    (tmp_path / "hub.json").write_bytes(data)

    assert hub_server.read_record(tmp_path) is None


def test_another_process_of_the_same_number_is_not_ours(tmp_path: Path) -> None:
    """Numbers are used again; this one must not be stopped."""
    record = hub_server.HubRecord(pid=os.getpid(), port=8390, identity="1 python -m a.hub")
    (tmp_path / "hub.json").write_text(record.model_dump_json())

    assert not hub_server.is_alive(record)
    assert hub_server.stop(tmp_path) is False
    assert hub_server.read_record(tmp_path) is None


def test_a_process_that_does_not_answer_is_not_alive() -> None:
    """It hangs, or is no Hub."""
    identity = str(processes.identity(os.getpid()))

    assert not hub_server.is_alive(hub_server.HubRecord(pid=os.getpid(), port=9, identity=identity))


def test_stopping_in_a_folder_without_a_hub_does_nothing(tmp_path: Path) -> None:
    """It does not even make the folder."""
    assert hub_server.stop(tmp_path / "none") is False
    assert not (tmp_path / "none").exists()


def test_a_hub_that_does_not_start(tmp_path: Path) -> None:
    """The message says why, by the end of its log, and nothing is left running or on record."""
    hub_server.folder(tmp_path).mkdir()
    (hub_server.folder(tmp_path) / "models").write_text("a file where a folder should be")

    with pytest.raises(HubStartError, match=r"ended at once.*models"):
        hub_server.ensure(tmp_path)

    assert hub_server.read_record(tmp_path) is None
