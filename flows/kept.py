"""A process that a workspace starts for itself, writes down, and finds again.

workspace/NAME.json    which process it is; gone when it was stopped
workspace/NAME.lock    held while it is started or stopped, so that two commands start one
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows import processes
from flows.embedded import EVERYWHERE, HOST, locked
from infra.files import make_folder, write_atomically

PATIENCE_SECONDS = 60.0  # for a process that runs, and may only be busy
POLL_SECONDS = 0.5


class ProcessRecord(BaseModel):
    """Which process was started for a workspace."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pid: int = Field(gt=1, description="Process number.")
    identity: str = Field(description="Start time and command line, to tell it from a later one.")
    wanted: str = Field(
        default="", description="Digest of how it was to be started; another one: start it anew."
    )

    @property
    def is_running(self) -> bool:
        """Whether there still is a process of this number, and it is that very one."""
        return processes.identity(self.pid) == self.identity


class ListeningRecord(ProcessRecord):
    """Which process was started for a workspace, and where it listens."""

    host: str = Field(default=HOST, description="Address that it listens on.")
    port: int = Field(gt=0, lt=65536, description="Its port there.")

    @property
    def address(self) -> str:
        """Where this machine finds it."""
        return f"http://{HOST if self.host in EVERYWHERE else self.host}:{self.port}"


Record = TypeVar("Record", bound=ProcessRecord)


def as_wanted(_record: ProcessRecord) -> bool:
    """Say of any process that it was started as it should have been."""
    return True


class Kept(NamedTuple, Generic[Record]):
    """How one kind of process is started and known again."""

    name: str
    record: type[Record]
    start: Callable[[Path, Record | None], Record]  # in a workspace; what was there before
    answers: Callable[[Record], bool]
    fits: Callable[[Record], bool] = as_wanted  # whether it was started as it is wanted now
    stop_seconds: float = 15.0  # that it has to end

    def ensure(self, workspace: Path) -> tuple[Record, str]:
        """Return a workspace's process, started if none is alive, and "started" or "re-used".

        One that runs and does not answer, or is not as it is wanted now, is ended first; so is
        what one left behind that was killed.

        Raises:
            ServerError: It does not start.
            StorageError: The workspace cannot be written.
        """
        make_folder(workspace)
        with locked(workspace / f"{self.name}.lock"):
            before = self.read(workspace)
            if before and self._is_good(before):
                return before, "re-used"
            self._clear(workspace, before)
            started = self.start(workspace, before)
            try:
                told = started.model_dump_json(indent=2).encode()
                write_atomically(self._path(workspace), told)
            except BaseException:
                processes.stop(started.pid)
                raise
            return started, "started"

    def stop(self, workspace: Path) -> bool:
        """Stop a workspace's process if one is alive; return whether one was.  Its data stay."""
        if not workspace.is_dir():
            return False
        with locked(workspace / f"{self.name}.lock"):
            found = self.read(workspace)
            running = found is not None and found.is_running
            self._clear(workspace, found)
            self._path(workspace).unlink(missing_ok=True)
        return running

    def read(self, workspace: Path) -> Record | None:
        """Return what is written down about a server; None if nothing readable is."""
        try:
            return self.record.model_validate_json(self._path(workspace).read_bytes())
        except (OSError, ValidationError):
            return None

    def is_alive(self, record: Record) -> bool:
        """Whether the process on record still runs, and answers."""
        return record.is_running and self.answers(record)

    def _is_good(self, record: Record) -> bool:
        """Whether a process can be used again; one that is busy gets some time to answer."""
        if not (record.is_running and self.fits(record)):
            return False
        deadline = time.monotonic() + PATIENCE_SECONDS
        while record.is_running and time.monotonic() < deadline:
            if self.answers(record):
                return True
            time.sleep(POLL_SECONDS)
        return False

    def _clear(self, workspace: Path, record: Record | None) -> None:
        """End a process, and all that it has started."""
        if record and record.is_running:
            processes.stop(record.pid, patience_seconds=self.stop_seconds)
        processes.stop_all(processes.marked(workspace, {self.name}))

    def _path(self, workspace: Path) -> Path:
        return workspace / f"{self.name}.json"
