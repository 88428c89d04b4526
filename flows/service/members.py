"""The processes of a service beside its server, its Hub and its workers."""

import hashlib
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from flows import embedded, processes
from flows.errors import ServerError
from flows.kept import Kept, ListeningRecord, ProcessRecord
from flows.server_process import (
    UI_API_URL,
    ServerRecord,
    base_environment,
    healthy,
    ui_api_url,
)
from flows.service.access import ensure_access
from flows.service.backing import Backing, backing_of
from flows.service.workers import CLIENT_ENVIRONMENT, Client, inherited
from infra.environment import WORKSPACE
from infra.files import canonical_json, make_folder
from infra.ports import reserving_socket

RECEIVER, SERVICES = "receiver", "services"
API = "api-"  # and a number, from 2
LISTENER, API_PROCESS = "The receiver of webhooks", "A further process of Prefect's API"
START_SECONDS = 240.0  # seconds, but minutes where the machine is very busy


def kept_services(workspace: Path, backing: Backing) -> Kept[ProcessRecord]:
    """Return how the server's own services run beside several processes that serve its API."""
    command = [sys.executable, "-m", "flows.service.serving", "server", "services", "start"]
    own = base_environment(workspace, backing, {}) | ensure_access(workspace).for_server()
    digest = _digest([command, own])

    def start(folder: Path, _before: ProcessRecord | None) -> ProcessRecord:
        log = _log(workspace, SERVICES)
        environment = base_environment(workspace, backing, os.environ) | own
        pid = processes.start_detached(
            command, environment=environment | processes.mark(folder, SERVICES), log=log
        )
        identity = processes.settled_identity(pid, command)
        if identity is None:
            raise ServerError(
                f"The services of Prefect's server ended at once. Their log is {log}, and ends: "
                f"{embedded.last_lines(log)}."
            )
        return ProcessRecord(pid=pid, identity=identity, wanted=digest)

    return Kept(
        SERVICES, ProcessRecord, start, lambda _: True, lambda record: record.wanted == digest
    )


def kept_api(workspace: Path, server: ServerRecord, number: int) -> Kept[ListeningRecord]:
    """Return how a further process that serves the API is started, and known again.

    Each has a port of its own: one process that starts several would end each that takes longer
    than five seconds to say that it lives, as on a busy machine they all do while they start.

    Args:
        workspace: Of the service.
        server: The first of them.
        number: Which one it is, counted from 2.
    """
    access = ensure_access(workspace).for_server()
    digest = _digest([server.host, backing_of().settings(workspace / "prefect"), access])

    def start(folder: Path, before: ListeningRecord | None) -> ListeningRecord:
        with _reservation(API_PROCESS, server.host, 0, before) as reservation:
            return start_at(reservation.getsockname()[1], folder)

    def start_at(port: int, folder: Path) -> ListeningRecord:
        log = _log(workspace, f"{API}{number}")
        command = [
            sys.executable, "-m", "flows.service.serving", "server", "start", "--no-services",
            "--host", server.host, "--port", str(port),
        ]  # fmt: skip
        own = {UI_API_URL: os.environ.get(UI_API_URL) or ui_api_url(server.host, port), **access}
        environment = base_environment(workspace, backing_of(), os.environ) | own
        pid = processes.start_detached(
            command, environment=environment | processes.mark(folder, f"{API}{number}"), log=log
        )
        identity = processes.settled_identity(pid, command) or ""
        record = ListeningRecord(
            pid=pid, identity=identity, host=server.host, port=port, wanted=digest
        )
        _require(record, log, _serves, API_PROCESS)
        return record

    return Kept(
        f"{API}{number}", ListeningRecord, start, _serves, lambda record: record.wanted == digest
    )


class Receiver(NamedTuple):
    """How the webhook receiver is to be started."""

    workspace: Path
    recipes: tuple[Path, ...]  # files of the recipes that watch a repository
    host: str
    port: int  # 0: any that is free, and then the same again
    client: Client

    @property
    def environment(self) -> dict[str, str]:
        """What it is told by us."""
        return {
            **self.client.access,
            **CLIENT_ENVIRONMENT,
            "PREFECT_API_URL": self.client.api_url,
            WORKSPACE: str(self.workspace),
        }

    @property
    def digest(self) -> str:
        """What changes when one that runs is no longer the one that is wanted."""
        contents = [path.read_text(encoding="utf-8") for path in self.recipes]
        paths = [str(path) for path in self.recipes]
        return _digest([self.host, self.port, paths, contents, self.environment])

    def command(self, port: int) -> list[str]:
        """Return the command line of one that listens on ``port``."""
        return [
            sys.executable, "-m", "flows.service.receiving", "--workspace", str(self.workspace),
            "--host", self.host, "--port", str(port), *map(str, self.recipes),
        ]  # fmt: skip


def kept_receiver(wanted: Receiver) -> Kept[ListeningRecord]:
    """Return how the webhook receiver is started, and known again."""
    digest = wanted.digest

    def start(folder: Path, before: ListeningRecord | None) -> ListeningRecord:
        with _reservation(LISTENER, wanted.host, wanted.port, before) as reservation:
            return start_at(reservation.getsockname()[1], folder)

    def start_at(port: int, folder: Path) -> ListeningRecord:
        log, command = _log(wanted.workspace, RECEIVER), wanted.command(port)
        own = wanted.environment | processes.mark(folder, RECEIVER)
        pid = processes.start_detached(command, environment=inherited(os.environ) | own, log=log)
        identity = processes.settled_identity(pid, command) or ""
        record = ListeningRecord(
            pid=pid, identity=identity, host=wanted.host, port=port, wanted=digest
        )
        _require(record, log, _answers, LISTENER)
        return record

    return Kept(RECEIVER, ListeningRecord, start, _answers, lambda record: record.wanted == digest)


def _require(
    record: ListeningRecord, log: Path, ready: Callable[[ListeningRecord], bool], what: str
) -> None:
    """Wait until a process answers, as long as it lives and patience lasts."""
    why = embedded.why_not_ready(lambda: ready(record), record.pid, patience_seconds=START_SECONDS)
    if why is not None:
        processes.stop(record.pid)
        raise ServerError(f"{what} {why}. Its log is {log}, and ends: {embedded.last_lines(log)}.")


def _serves(record: ListeningRecord) -> bool:
    return healthy(f"{record.address}/api")


def _answers(record: ListeningRecord) -> bool:
    return embedded.answers_with(f"{record.address}/health", wanted={"ok": True})


def _reservation(what: str, host: str, port: int, before: ListeningRecord | None) -> socket.socket:
    """Return what keeps the port that is asked for; the one before where any will do."""
    try:
        return reserving_socket(host, before.port if before and port == 0 else port, port)
    except OSError as error:
        where, remedy = (
            (f"port {port}", "Give another --webhook-port, or stop what uses it.")
            if port
            else ("any port", "Give a --host that is an address of this machine.")
        )
        raise ServerError(
            f"{what} cannot listen on {host}, {where}: {error.strerror or error}. {remedy}"
        ) from error


def _log(workspace: Path, name: str) -> Path:
    make_folder(workspace / "logs")
    return workspace / "logs" / f"{name}.log"


def _digest(value: object) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()  # type: ignore[arg-type] # of JSON's types
