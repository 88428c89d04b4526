"""The process of Prefect's server: how it is started, and what is written down about it."""

import hashlib
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from flows import embedded, processes
from flows.embedded import HOST
from flows.errors import ServerError
from flows.kept import ListeningRecord
from flows.service.access import Access, ensure_access, ensure_encryption_key
from flows.service.backing import DATABASE, Backing, backing_of
from flows.service.heartbeats import PATIENCE
from infra.files import canonical_json, make_folder
from infra.ports import reserving_socket

NAME = "server"
USUAL_PORT = 4200  # Prefect's own
START_SECONDS = 420.0  # half a minute where a first start creates the database; minutes if busy
UI_API_URL = "PREFECT_SERVER_UI_API_URL"
CANCELLING = "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS"


class ServerRecord(ListeningRecord):
    """Which server was started for a workspace: what `server.json` holds."""

    guarded: bool = Field(default=False, description="Whether it asks for a string of ours.")
    processes: int = Field(default=1, ge=1, description="How many processes serve the API.")
    on_database: bool = Field(default=False, description="PostgreSQL; otherwise SQLite.")

    @property
    def ui_url(self) -> str:
        """Where a person looks."""
        return self.address

    @property
    def api_url(self) -> str:
        """Where the client sends its requests."""
        return f"{self.address}/api"


class Wanted(NamedTuple):
    """How a server is to be started."""

    host: str = HOST
    port: int | None = None  # None: Prefect's own, or any that is free; 0: any; then the same again
    guarded: bool = False
    processes: int = 1
    backing: Backing = Backing(None, None)

    def digest(self, workspace: Path) -> str:
        """Return what changes when a running server is no longer the one that is wanted.

        Raises:
            StorageError: What opens the server cannot be read or written.
        """
        access = _access(workspace, self)
        told = [self.host, self.port, self.processes, *self.backing, *access.values()]
        return hashlib.sha256(canonical_json(told)).hexdigest()


def as_before(record: ServerRecord | None) -> Wanted:
    """Return how a server was started that is started again.

    Raises:
        ServerError: It stood on a database that the environment no longer names.
    """
    if record is None:
        return Wanted()
    backing = backing_of() if record.on_database else Backing(None, None)
    if record.on_database and backing.database_url is None:
        raise ServerError(
            "The server of this workspace keeps its data in PostgreSQL, and its address is not "
            f"set. Set {DATABASE} as it was, or start over with `roundhouse down` and `up`."
        )
    return Wanted(record.host, record.port, record.guarded, record.processes, backing)


def start(workspace: Path, wanted: Wanted, before: ServerRecord | None) -> ServerRecord:
    """Start a server with its data in the workspace, and wait until it answers.

    Raises:
        ServerError: It does not start, or its port is taken.
        StorageError: The workspace cannot be written.
    """
    make_folder(workspace / "prefect")
    with _reservation(wanted, before) as reservation:
        return _start_at(reservation.getsockname()[1], workspace, wanted)


def _start_at(port: int, workspace: Path, wanted: Wanted) -> ServerRecord:
    log = workspace / "prefect" / "server.log"
    environment = _environment(workspace, wanted, port)
    pid = processes.start_detached(_command(wanted, port), environment=environment, log=log)
    try:
        _require_start(_local_url(wanted.host, port), pid, log)
    except BaseException:  # an interrupt too must leave no process behind
        processes.stop(pid)
        processes.stop_all(processes.marked(workspace, {NAME}))
        raise
    return ServerRecord(
        pid=pid,
        host=wanted.host,
        port=port,
        identity=processes.identity(pid) or "",
        wanted=wanted.digest(workspace),
        guarded=wanted.guarded,
        processes=wanted.processes,
        on_database=wanted.backing.database_url is not None,
    )


def healthy(api_url: str) -> bool:
    """Whether a Prefect server answers at ``api_url`` and says that it is well."""
    return embedded.healthy(f"{api_url}/health")


def _command(wanted: Wanted, port: int) -> list[str]:
    command = [
        sys.executable, "-m", "flows.service.serving", "server", "start",
        "--host", wanted.host, "--port", str(port),
    ]  # fmt: skip
    if wanted.processes > 1:  # a process of its own then runs the server's services
        command.append("--no-services")
    return command


def _local_url(host: str, port: int) -> str:
    return f"http://{HOST if host in embedded.EVERYWHERE else host}:{port}/api"


def _require_start(api_url: str, pid: int, log: Path) -> None:
    """Wait until a server answers, as long as its process lives and patience lasts."""
    why = embedded.why_not_ready(lambda: healthy(api_url), pid, patience_seconds=START_SECONDS)
    if why is not None:
        raise ServerError(
            f"Prefect's server {why}. Its log is {log}, and ends: {embedded.last_lines(log)}. "
            "Set PREFECT_API_URL to use a server that runs elsewhere."
        )


def _environment(workspace: Path, wanted: Wanted, port: int) -> dict[str, str]:
    """Return the environment of a server that listens at ``port``."""
    own = {UI_API_URL: os.environ.get(UI_API_URL) or ui_api_url(wanted.host, port)}
    settings = base_environment(workspace, wanted.backing, os.environ)
    return settings | own | _access(workspace, wanted) | processes.mark(workspace, NAME)


def base_environment(
    workspace: Path, backing: Backing, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return what all processes of a server have in common: a server that keeps to itself."""
    home = (workspace / "prefect").resolve()
    inherited = {
        name: value
        for name, value in embedded.without_secrets(environment).items()
        if not name.startswith(("PREFECT_", "ROUNDHOUSE_"))
    }
    return {
        **inherited,
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        CANCELLING: f"{PATIENCE.total_seconds():.0f}",  # else its machine is gone
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",  # the older UI asks nothing of other hosts
        "DO_NOT_TRACK": "1",
        **backing.settings(home),
    }


def _access(workspace: Path, wanted: Wanted) -> dict[str, str]:
    """Return what guards a server: always its secrets, and where it is wanted, its door."""
    if wanted.guarded:
        return ensure_access(workspace).for_server()
    return Access("", ensure_encryption_key(workspace)).for_secrets()


def ui_api_url(host: str, port: int) -> str:
    """Return where a browser finds the API; of all addresses, the one that has this host's name."""
    name = os.uname().nodename if host in embedded.EVERYWHERE else host
    return f"http://{name}:{port}/api"


def _reservation(wanted: Wanted, before: ServerRecord | None) -> socket.socket:
    """Return what keeps the port that is asked for; if none is, the one before, the usual, or any.

    Raises:
        ServerError: It is taken, or none is free.
    """
    usual = USUAL_PORT if wanted.port is None else 0
    ports = (wanted.port,) if wanted.port else (before.port if before else usual, 0)
    host = wanted.host if wanted.port else HOST
    try:
        return reserving_socket(host, *ports)
    except OSError as error:
        raise ServerError(
            f"Prefect's server cannot listen on {host}:{ports[0]}: {error.strerror or error}. Give "
            "another --port (or --host), or stop what uses it."
        ) from error
