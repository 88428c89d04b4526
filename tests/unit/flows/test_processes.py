"""Processes that outlive us are recognised, and ended by their number."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from flows import processes

STUBBORN = (
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)"
)


def start(tmp_path: Path, code: str) -> int:
    """Start an interpreter that runs ``code`` and logs to ``tmp_path/log``."""
    return processes.start_detached(
        [sys.executable, "-c", code], environment={"WORD": "heard"}, log=tmp_path / "log"
    )


def wait_for(tmp_path: Path, text: str) -> None:
    """Wait until the log holds ``text``."""
    while text not in (tmp_path / "log").read_text():
        time.sleep(0.02)


def test_a_started_process_is_on_its_own(tmp_path: Path) -> None:
    """It has a session, a log and just the environment it was given."""
    pid = start(tmp_path, "import os, time; print(os.environ['WORD'], flush=True); time.sleep(600)")
    try:
        wait_for(tmp_path, "heard")
        assert os.getsid(pid) == pid
    finally:
        processes.stop(pid)


def test_it_can_be_interrupted_even_where_we_cannot(tmp_path: Path) -> None:
    """A command in the background of a shell ignores SIGINT; what it starts must not."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pid = start(tmp_path, "import signal; print(signal.getsignal(signal.SIGINT), flush=True)")
        wait_for(tmp_path, "\n")
    finally:
        signal.signal(signal.SIGINT, before)
        processes.stop(pid)

    assert "default_int_handler" in (tmp_path / "log").read_text()


def test_identity_lasts_as_long_as_the_process(tmp_path: Path) -> None:
    """Two processes of one command differ, and one that has ended is nobody, zombie or not."""
    first, second = (start(tmp_path, "import time; time.sleep(600)") for _ in range(2))
    before = processes.identity(first)
    assert before == processes.identity(first)
    assert "time.sleep(600)" in str(before)

    processes.stop(first)
    processes.stop(second)

    assert processes.identity(first) is None


def test_a_process_that_ends_by_itself_is_gone(tmp_path: Path) -> None:
    """Nobody has to wait for it first."""
    pid = start(tmp_path, "pass")
    deadline = time.monotonic() + 30
    while processes.identity(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)

    assert processes.identity(pid) is None


def test_a_process_that_will_not_end_is_ended(tmp_path: Path) -> None:
    """Patience is limited."""
    pid = start(tmp_path, STUBBORN)
    wait_for(tmp_path, "ready")

    processes.stop(pid, patience_seconds=0.2)

    assert processes.identity(pid) is None


def test_stopping_what_is_gone_is_no_error(tmp_path: Path) -> None:
    """It may have ended just before."""
    pid = start(tmp_path, "pass")
    processes.stop(pid)
    processes.stop(pid)

    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIG_DFL)


FAMILY = (
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], "
    "start_new_session=True)\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)"
)


def test_what_a_process_starts_is_found_even_when_it_has_left_its_session(tmp_path: Path) -> None:
    """A worker's runs have sessions of their own, and outlive it; none may be overlooked."""
    pid = processes.start_detached(
        [sys.executable, "-c", FAMILY],
        environment=processes.mark(tmp_path, "worker") | {"WORD": "heard"},
        log=tmp_path / "log",
    )
    wait_for(tmp_path, "ready")
    os.kill(pid, signal.SIGKILL)
    left = [each for each in processes.marked(tmp_path, {"worker"}) if each != pid]
    assert len(left) == 1
    assert processes.environment(left[0])["WORD"] == "heard"
    assert processes.marked(tmp_path, {"another"}) == ()
    assert processes.marked(tmp_path / "elsewhere", {"worker"}) == ()

    processes.stop_all(left)

    assert processes.marked(tmp_path, {"worker"}) == ()


def test_several_processes_are_ended_together(tmp_path: Path) -> None:
    """Those that listen at once, and those that do not, after the same while."""
    pids = []
    for name, code in (("first", STUBBORN), ("second", "import time; time.sleep(600)")):
        (tmp_path / name).mkdir()
        pids.append(start(tmp_path / name, code))
    wait_for(tmp_path / "first", "ready")
    before = time.monotonic()

    processes.stop_all(pids, patience_seconds=0.5)

    assert time.monotonic() - before < 10
    assert [processes.identity(pid) for pid in pids] == [None, None]


@pytest.mark.skipif(shutil.which("ps") is None, reason="this system has no ps, but /proc")
def test_where_there_is_no_proc_ps_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no /proc on macOS."""
    monkeypatch.setattr(processes, "PROC", tmp_path / "none")
    pid = start(tmp_path, "import time; time.sleep(600)")
    told = {processes.identity(pid) for _ in range(5)}
    processes.stop(pid)

    assert len(told) == 1
    assert "time.sleep(600)" in str(told)
    assert processes.identity(pid) is None
