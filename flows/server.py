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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import get_current_settings, temporary_settings

from flows import embedded, server_process
from flows.errors import ServerError
from flows.kept import Kept
from flows.server_process import NAME, ServerRecord, Wanted, as_before, healthy
from flows.service.access import CLIENT_AUTH, ensure_access
from infra.files import make_folder

FLUSH_SECONDS = 10.0

CLIENT_DEFAULTS = {
    "flows.heartbeat_frequency": 30,  # a run whose host is lost is found by its silence
    "client.max_retries": 8,  # each after twice as long: a server may be away for minutes
    "client.retry_extra_codes": "500",  # what it answers while its database is away
    "server.ephemeral.enabled": False,  # a lost address is an error, never a private database
    "server.analytics_enabled": False,
    "results.default_serializer": "json",  # reading results must not execute them
}


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
            require_answer(url)
            yield Connection(url, url.removesuffix("/api"), "configured")
        return
    with _in_use(workspace) as nobody_else:
        record, how = ensure(workspace)
        try:
            with temporary_settings({**CLIENT_DEFAULTS, **client_settings(workspace, record)}):
                require_answer(record.api_url)
                yield Connection(record.api_url, record.ui_url, how)
        finally:
            if not keep and nobody_else():
                send_what_is_left()
                stop(workspace)


def client_settings(workspace: Path, record: ServerRecord) -> dict[str, Any]:
    """Return what a client must know of a workspace's server: where it is, and what opens it.

    A string that is configured goes before that of the workspace.

    Raises:
        StorageError: The file that holds the string cannot be read.
    """
    if not record.guarded or get_current_settings().api.auth_string is not None:
        return {"api.url": record.api_url}
    return {"api.url": record.api_url, "api.auth_string": ensure_access(workspace).auth}


def ensure(workspace: Path, wanted: Wanted | None = None) -> tuple[ServerRecord, str]:
    """Return the workspace's server, started if none is alive, and "started" or "re-used".

    Two commands at once start one: the second waits for the first.

    Args:
        workspace: Folder for the server's data and its record.
        wanted: How it must have been started, or else is started anew; None: as it was before.

    Raises:
        ServerError: It does not start; the message ends with the last lines of its log.
    """
    if wanted is None:
        return _kept().ensure(workspace)
    return _kept(wanted, wanted.digest(workspace)).ensure(workspace)


def stop(workspace: Path) -> bool:
    """Stop the server of a workspace if one is alive; return whether one was."""
    return _kept().stop(workspace)


def read_record(workspace: Path) -> ServerRecord | None:
    """Return what is written down about the workspace's server; None if nothing readable is."""
    return _kept().read(workspace)


def is_alive(record: ServerRecord) -> bool:
    """Whether the process on record still runs, is that very process, and answers."""
    return _kept().is_alive(record)


def require_answer(url: str) -> None:
    """Require that a server answers, and answers whoever has this process's credentials."""
    with get_client(sync_client=True) as client:
        trouble = client.api_healthcheck()
        if trouble is not None:
            raise ServerError(
                f"The Prefect server at {url} does not answer: {trouble}. Start it, set "
                "PREFECT_API_URL to one that runs, or unset it (and the api.url of the active "
                "Prefect profile) to have one started here."
            )
        try:
            client.request("GET", "/admin/version").raise_for_status()
        except PrefectHTTPStatusError as error:
            raise _refusal(url, error.response.status_code) from error


def _refusal(url: str, status: int) -> ServerError:
    """Return the error of a server that answers, but not us."""
    if status not in (401, 403):
        return ServerError(
            f"The Prefect server at {url} answers with HTTP {status}: it is no Prefect server, or "
            "not well. Look into its log, or set PREFECT_API_URL to another one."
        )
    given = (
        f"{CLIENT_AUTH} (or the api.auth_string of the active Prefect profile)"
        if get_current_settings().api.auth_string is not None
        else f"nothing: {CLIENT_AUTH} is not set"
    )
    return ServerError(
        f"The Prefect server at {url} refuses us: it was given {given}. The right string is in the "
        "file prefect/auth of the workspace that `roundhouse up` started it for, or with whoever "
        "runs the server. A PREFECT_API_KEY goes before it, and must not be set."
    )


def send_what_is_left() -> None:
    """Send the log lines and events that wait in this process, before their server is gone."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        for handler in logging.getLogger(name).handlers:
            handler.flush()
    EventsWorker.drain_all(timeout=FLUSH_SECONDS)


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


def _kept(wanted: Wanted | None = None, digest: str = "") -> Kept[ServerRecord]:
    """Return how the server is kept, where it must be ``wanted``, or may be as it is."""

    def start(workspace: Path, before: ServerRecord | None) -> ServerRecord:
        return server_process.start(workspace, wanted or as_before(before), before)

    def fits(record: ServerRecord) -> bool:
        return wanted is None or record.wanted == digest

    return Kept(NAME, ServerRecord, start, lambda record: healthy(record.api_url), fits)
