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
