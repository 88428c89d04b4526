"""Give every run a Prefect server with a UI, also where nobody set one up.

Prefect's own answer to a missing server is a temporary one inside each process: slow to start, gone
when the run ends, and so without a UI to look at afterwards.  Here the first command starts one on
loopback as a process of its own, writes down which, and later commands use it again.  Its data stay
in the workspace, and it talks to nobody.  Whoever has configured a server, by PREFECT_API_URL or a
Prefect profile, keeps it.
"""

import contextlib
import fcntl
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.settings import get_current_settings, temporary_settings

from flows import embedded, processes
from flows.embedded import HOST
from flows.errors import ServerError
from flows.kept import Kept, ProcessRecord
from infra.files import make_folder

USUAL_PORT = 4200  # Prefect's own
START_SECONDS = (
    180.0  # a first start creates the database; on two busy cores it takes half a minute
)
FLUSH_SECONDS = 10.0

CLIENT_DEFAULTS = {
    "flows.heartbeat_frequency": 30,  # a run whose host is lost is found by its silence
    "server.ephemeral.enabled": False,  # a lost address is an error, never a private database
    "server.analytics_enabled": False,
    "results.default_serializer": "json",  # reading results must not execute them
}


class ServerRecord(ProcessRecord):
    """Which server was started for a workspace: what `server.json` holds."""

    @property
    def ui_url(self) -> str:
        """Where a person looks."""
        return self.address

    @property
    def api_url(self) -> str:
        """Where the client sends its requests."""
        return f"{self.address}/api"


class Connection(NamedTuple):
    """The server a run talks to."""

    api_url: str
    ui_url: str
    how: str  # "configured", "started" or "re-used"


def configured_url() -> str | None:
    """Return the address that the environment or the active Prefect profile gives, if any."""
    return get_current_settings().api.url


@contextlib.contextmanager
def connected(workspace: Path, *, keep: bool = True) -> Iterator[Connection]:
    """Run the block with Prefect's client pointed at a healthy server.

    Args:
        workspace: Folder for the server's data and its record.
        keep: Leave a server of our own running for the next command.  Without, it is stopped at the
            end, whatever happens, unless another command is using it.

    Raises:
        ServerError: It does not start.
        StorageError: The workspace cannot be written.
    """
    if url := configured_url():
        with temporary_settings(set_defaults=CLIENT_DEFAULTS):
            _require_answer(url)
            yield Connection(url, url.removesuffix("/api"), "configured")
        return
    with _in_use(workspace) as nobody_else:
        record, how = ensure(workspace)
        try:
            with temporary_settings({**CLIENT_DEFAULTS, "api.url": record.api_url}):
                yield Connection(record.api_url, record.ui_url, how)
        finally:
            if not keep and nobody_else():
                _send_what_is_left()
                stop(workspace)


def ensure(workspace: Path) -> tuple[ServerRecord, str]:
    """Return the workspace's server, started if none is alive, and "started" or "re-used".

    Two commands at once start one: the second waits for the first.

    Raises:
        ServerError: It does not start; the message ends with the last lines of its log.
    """
    return _KEPT.ensure(workspace)


def stop(workspace: Path) -> bool:
    """Stop the server of a workspace if one is alive; return whether one was."""
    return _KEPT.stop(workspace)


def read_record(workspace: Path) -> ServerRecord | None:
    """Return what is written down about the workspace's server; None if nothing readable is."""
    return _KEPT.read(workspace)


def is_alive(record: ServerRecord) -> bool:
    """Whether the process on record still runs, is that very process, and answers."""
    return _KEPT.is_alive(record)


def healthy(api_url: str) -> bool:
    """Whether a Prefect server answers at ``api_url`` and says that it is well."""
    return embedded.healthy(f"{api_url}/health")


def _require_answer(url: str) -> None:
    """Require that the configured server answers whoever has this process's credentials."""
    with get_client(sync_client=True) as client:
        trouble = client.api_healthcheck()
    if trouble is not None:
        raise ServerError(
            f"The Prefect server at {url} does not answer: {trouble}. Start it, set "
            "PREFECT_API_URL to one that runs, or unset it (and the api.url of the active Prefect "
            "profile) to have one started here."
        )


def _send_what_is_left() -> None:
    """Send the log lines and events that wait in this process, before their server is gone."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        for handler in logging.getLogger(name).handlers:
            handler.flush()
    EventsWorker.drain_all(timeout=FLUSH_SECONDS)


def _start(workspace: Path, _before: ServerRecord | None) -> ServerRecord:
    """Start a server with its data in the workspace, and wait until it answers."""
    home = workspace / "prefect"
    make_folder(home)
    port, log = _free_port(), home / "server.log"
    command = [
        sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port),
    ]  # fmt: skip
    pid = processes.start_detached(
        command, environment=_server_environment(home.resolve(), port), log=log
    )
    try:
        _require_start(port, pid, log)
    except BaseException:  # an interrupt too must leave no process behind
        processes.stop(pid)
        raise
    return ServerRecord(pid=pid, port=port, identity=processes.identity(pid) or "")


def _require_start(port: int, pid: int, log: Path) -> None:
    """Wait until a server answers, as long as its process lives and patience lasts."""
    why = embedded.why_not_ready(
        lambda: healthy(f"http://{HOST}:{port}/api"), pid, patience_seconds=START_SECONDS
    )
    if why is not None:
        raise ServerError(
            f"Prefect's server {why}. Its log is {log}, and ends: {embedded.last_lines(log)}. "
            "Set PREFECT_API_URL to use a server that runs elsewhere."
        )


def _server_environment(home: Path, port: int) -> dict[str, str]:
    """Return the environment of a server that keeps to itself."""
    inherited = {
        name: value
        for name, value in embedded.without_secrets(os.environ).items()
        if not name.startswith("PREFECT_")
    }
    return inherited | {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_UI_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",  # the older UI asks nothing of other hosts
        "DO_NOT_TRACK": "1",
    }


def _free_port() -> int:
    """Return Prefect's usual port if it is free, else any that is."""
    port = embedded.free_port(USUAL_PORT)
    if port is None:
        raise ServerError(f"No port is free on {HOST}, so Prefect's server cannot be started.")
    return port


@contextlib.contextmanager
def _in_use(workspace: Path) -> Iterator[Callable[[], bool]]:
    """Mark the server as used by this process; yields whether no other process uses it."""
    make_folder(workspace)
    with embedded.locked(workspace / "server.users", fcntl.LOCK_SH) as descriptor:

        def nobody_else() -> bool:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        yield nobody_else


_KEPT = Kept("server", ServerRecord, _start, lambda record: healthy(record.api_url))
