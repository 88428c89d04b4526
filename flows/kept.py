"""A server that a workspace starts for itself, writes down, and finds again.

workspace/NAME.json    which process it is; gone when it was stopped
workspace/NAME.lock    held while it is started or stopped, so that two commands start one
"""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows import processes
from flows.embedded import HOST, locked
from infra.files import make_folder, write_atomically


class ProcessRecord(BaseModel):
    """Which process was started for a workspace, and where it listens."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pid: int = Field(gt=1, description="Process number.")
    port: int = Field(gt=0, lt=65536, description="Port on loopback.")
    identity: str = Field(description="Start time and command line, to tell it from a later one.")

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether there still is a process of this number, and it is that very one."""
        return processes.identity(self.pid) == self.identity


Record = TypeVar("Record", bound=ProcessRecord)


class Kept(NamedTuple, Generic[Record]):
    """How one kind of server is started and known again."""

    name: str
    record: type[Record]
    start: Callable[[Path, Record | None], Record]  # in a workspace; what was there before
    answers: Callable[[Record], bool]

    def ensure(self, workspace: Path) -> tuple[Record, str]:
        """Return a workspace's server, started if none is alive, and "started" or "re-used".

        Raises:
            ServerError: It does not start.
            StorageError: The workspace cannot be written.
        """
        make_folder(workspace)
        with locked(workspace / f"{self.name}.lock"):
            before = self.read(workspace)
            if before and self.is_alive(before):
                return before, "re-used"
            started = self.start(workspace, before)
            try:
                told = started.model_dump_json(indent=2).encode()
                write_atomically(self._path(workspace), told)
            except BaseException:
                processes.stop(started.pid)
                raise
            return started, "started"

    def stop(self, workspace: Path) -> bool:
        """Stop a workspace's server if one is alive; return whether one was.  Its data stay."""
        if not workspace.is_dir():
            return False
        with locked(workspace / f"{self.name}.lock"):
            found = self.read(workspace)
            running = found is not None and found.is_running
            if found and running:
                processes.stop(found.pid)
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

    def _path(self, workspace: Path) -> Path:
        return workspace / f"{self.name}.json"
