"""A server that a workspace keeps: started once, found again, and known from a later process."""

import sys
import time
from pathlib import Path

import pytest

from flows import processes
from flows.kept import Kept, ListeningRecord

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def sleeper(workspace: Path, before: ListeningRecord | None) -> ListeningRecord:
    """Start a process that does nothing, on the port of the one before."""
    pid = processes.start_detached(SLEEP, environment={}, log=workspace / "log")
    while "time.sleep" not in (processes.identity(pid) or ""):
        time.sleep(0.01)  # until the new process runs its own command
    port = before.port if before else 4321
    return ListeningRecord(pid=pid, port=port, identity=processes.identity(pid) or "")


KEPT = Kept("sleeper", ListeningRecord, sleeper, lambda record: record.port == 4321)


def test_it_is_started_once_and_stopped_once(tmp_path: Path) -> None:
    """The second command uses what the first one started; nothing is left in the end."""
    first, how = KEPT.ensure(tmp_path)
    assert how == "started"
    assert KEPT.ensure(tmp_path) == (first, "re-used")
    assert KEPT.stop(tmp_path)
    assert not first.is_running
    assert KEPT.read(tmp_path) is None
    assert not KEPT.stop(tmp_path)


def test_one_that_was_killed_is_started_anew(tmp_path: Path) -> None:
    """It is told where it was before."""
    first, _ = KEPT.ensure(tmp_path)
    processes.stop(first.pid)
    second, how = KEPT.ensure(tmp_path)
    KEPT.stop(tmp_path)

    assert how == "started"
    assert (second.pid != first.pid, second.port) == (True, first.port)


def test_a_record_that_cannot_be_written_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody could find again must not run on."""
    started: list[ListeningRecord] = []

    def start(workspace: Path, before: ListeningRecord | None) -> ListeningRecord:
        started.append(sleeper(workspace, before))
        return started[-1]

    def refuse(_path: Path, _data: bytes) -> None:
        raise OSError

    monkeypatch.setattr("flows.kept.write_atomically", refuse)
    with pytest.raises(OSError, match=r"^$"):
        Kept("sleeper", ListeningRecord, start, lambda _: True).ensure(tmp_path)
    assert [record.is_running for record in started] == [False]


def test_one_that_is_not_as_it_is_wanted_is_ended_and_started_anew(tmp_path: Path) -> None:
    """As a server without a lock on its door, where there should be one."""
    first, _ = KEPT.ensure(tmp_path)
    second, how = KEPT._replace(fits=lambda record: record.pid != first.pid).ensure(tmp_path)
    KEPT.stop(tmp_path)

    assert how == "started"
    assert not first.is_running
    assert second.pid != first.pid


def test_one_that_runs_and_answers_nobody_is_ended_before_another_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them would write to one database."""
    monkeypatch.setattr("flows.kept.PATIENCE_SECONDS", 0.2)
    first, _ = KEPT.ensure(tmp_path)
    deaf = KEPT._replace(answers=lambda record: record.pid != first.pid)
    second, how = deaf.ensure(tmp_path)
    KEPT.stop(tmp_path)

    assert how == "started"
    assert not first.is_running
    assert second.pid != first.pid


def test_what_is_no_record_is_none(tmp_path: Path) -> None:
    """A damaged file is as good as none."""
    (tmp_path / "sleeper.json").write_text("{")

    assert KEPT.read(tmp_path) is None
    assert not KEPT.stop(tmp_path / "nowhere")
