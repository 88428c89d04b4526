"""Start a process that outlives us, recognise it later, and end it by its number.

A process number alone is not an identity: numbers are used again.  What identifies a process is its
number, the moment it started and its command line, and all three are compared before anything is
signalled.  What a process starts may leave its session, so each of ours carries a mark in its
environment, which all that it starts inherit: by it nothing is overlooked when a service ends.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

PROC = Path("/proc")
START_TIME_FIELD = 19  # of /proc/PID/stat, counted after the command's closing parenthesis
POLL_SECONDS = 0.1
MARK = "ROUNDHOUSE_MEMBER"  # environment variable: of which workspace, and which of its processes


def start_detached(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, append: bool = False
) -> int:
    """Start ``command`` in a session of its own, and return its process number.

    Ctrl-C in our terminal does not reach it, and its output goes to ``log``.  A shell in which we
    were started with ``&`` may have had us ignore SIGINT; Prefect's worker ends itself by it, so
    that is not handed on.
    """
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    return os.posix_spawn(
        command[0],
        list(command),
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigdef=[signal.SIGINT],
    )


def identity(pid: int) -> str | None:
    """Return what tells this process from a later one of the same number; None if it is gone."""
    _reap(pid)
    if PROC.is_dir():
        return _identity_from_proc(pid)
    shown = subprocess.run(
        ["ps", "-ww", "-o", "stat=,lstart=,command=", "-p", str(pid)],  # noqa: S607 -- wherever the system keeps ps
        capture_output=True,
        text=True,
        check=False,
    )
    state, *identifying = shown.stdout.split() or ["Z"]
    return None if state.startswith("Z") else " ".join(identifying)


def settled_identity(pid: int, command: Sequence[str]) -> str | None:
    """Return the identity of a process as soon as it runs ``command``; None if it ended."""
    while (found := identity(pid)) is not None and not found.endswith(" ".join(command)):
        time.sleep(POLL_SECONDS)
    return found


def _identity_from_proc(pid: int) -> str | None:
    try:
        stat = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        command = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return None
    if stat[0] in "ZX":  # dead; only its parent has not asked yet
        return None
    return f"{stat[START_TIME_FIELD]} {command.replace(bytes(1), b' ').decode().strip()}"


def stop(pid: int, *, patience_seconds: float = 15.0) -> None:
    """Ask a process to end, wait, and after ``patience_seconds`` end it with its children.

    It must have been started by `start_detached`, so that its group has its own number.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience_seconds
    while identity(pid) is not None:
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(POLL_SECONDS)


def mark(workspace: Path, name: str) -> dict[str, str]:
    """Return what a process of a workspace carries in its environment."""
    return {MARK: f"{workspace.absolute()}:{name}"}


def marked(workspace: Path, names: Collection[str]) -> tuple[int, ...]:
    """Return all processes that carry the mark of a workspace and one of ``names``.

    Only where there is /proc; elsewhere processes are known by their records alone.
    """
    wanted = {f"{workspace.absolute()}:{name}" for name in names}
    return tuple(pid for pid in _numbers() if environment(pid).get(MARK) in wanted)


def stop_all(pids: Collection[int], *, patience_seconds: float = 15.0) -> None:
    """Ask processes to end, all at once, and end those that have not after a while."""
    known = {pid: found for pid in pids if (found := identity(pid)) is not None}
    _signal(known, signal.SIGTERM)
    deadline = time.monotonic() + patience_seconds
    while known := {pid: was for pid, was in known.items() if identity(pid) == was}:
        if time.monotonic() > deadline:
            _signal(known, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _numbers() -> Iterator[int]:
    """Yield the numbers of all processes but this one."""
    for path in PROC.glob("[0-9]*"):
        if int(path.name) != os.getpid():
            yield int(path.name)


def environment(pid: int) -> dict[str, str]:
    """Return what a process was started with; nothing where it is gone or another user's."""
    try:
        told = (PROC / str(pid) / "environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(line.partition("=")[::2] for line in told.split("\0") if "=" in line)


def _reap(pid: int) -> None:
    """Let the system forget a dead process if it was a child of ours."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
