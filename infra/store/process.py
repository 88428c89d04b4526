"""Which process holds a lease, so that another one of its machine can tell that it is dead.

A number of a process is given again, and means nothing in another container or after a restart of
the machine: so the machine's start, the name space and the moment of the process's start belong to
it.  Where the system does not tell all of these, nobody is said to be dead.
"""

import os
import socket
from pathlib import Path

from pydantic import BaseModel, ConfigDict

_PROC = Path("/proc")
_STATE, _STARTED = 0, 19  # fields of /proc/PID/stat, counted behind the name


class Process(BaseModel):
    """A process of some machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str  # for people
    pid: int
    system: str | None  # start of the machine and name space of processes; None: not known
    started: int | None  # ticks of the clock since the machine's start

    @property
    def words(self) -> str:
        """Name it."""
        return f"process {self.pid} on {self.host}"


def this_process() -> Process:
    """Return the process that asks."""
    pid = os.getpid()
    return Process(host=socket.gethostname(), pid=pid, system=_system(), started=_started(pid))


def is_dead(process: Process) -> bool:
    """Tell whether a process is known to have ended; of other machines nothing is known."""
    if process.system is None or process.started is None or process.system != _system():
        return False
    return _started(process.pid) != process.started


def _system() -> str | None:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """Return when a process was started; None: there is none, or it has ended unburied."""
    try:
        told = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = told.rpartition(")")[2].split()
    return None if fields[_STATE] in "ZX" else int(fields[_STARTED])
