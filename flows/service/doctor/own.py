"""What the service itself has started: its server, its processes, its files and its ports."""

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

from prefect.settings import temporary_settings

from flows import hub_server
from flows import server as prefect_server
from flows.embedded import HOST
from flows.errors import ServerError
from flows.kept import ListeningRecord, ProcessRecord
from flows.server_process import USUAL_PORT
from flows.service.access import auth_file, encryption_key_file, webhook_file
from flows.service.doctor.finding import Finding, fail, ok, warn
from flows.service.doctor.outside import clock
from flows.service.members import RECEIVER
from flows.service.settings import ServiceSettings, folder, read_settings
from infra.errors import StorageError
from infra.local_hub.serving import USUAL_PORT as HUB_PORT
from infra.ports import listening_socket

UP = "Start it with `roundhouse up`."


def server(workspace: Path) -> Iterator[Finding]:
    """Look whether Prefect's server answers, and answers us."""
    record = prefect_server.read_record(workspace)
    if (url := prefect_server.configured_url()) is not None:
        yield from _answers(url)
    elif record is None:
        yield warn("server", f"none was started for {workspace}", UP)
    elif not record.is_running:
        yield fail("server", f"it has died; it was process {record.pid}", UP)
    else:
        try:
            settings = prefect_server.client_settings(workspace, record)
        except StorageError as error:
            yield fail("server", str(error), "Give `roundhouse up` again.")
            return
        with temporary_settings(settings):
            yield from _answers(record.api_url)


def _answers(url: str) -> Iterator[Finding]:
    try:
        prefect_server.require_answer(url)
    except ServerError as error:
        yield fail("server", str(error), "See above.")
        return
    yield ok("server", f"{url} answers us")
    yield from clock("clock of the server", f"{url}/health")


def members(workspace: Path) -> Iterator[Finding]:
    """Look which processes on record still run."""
    for path in sorted(folder(workspace).glob("*.json")):
        try:
            record = ProcessRecord.model_validate_json(path.read_bytes(), extra="ignore")
        except (OSError, ValueError):
            continue
        name = f"process {path.stem}"
        if record.is_running:
            yield ok(name, f"process {record.pid} runs")
        else:
            log = workspace / "logs" / f"{path.stem}.log"
            yield fail(name, f"process {record.pid} has died", f"Look into {log}. {UP}")


def private_files(workspace: Path) -> Iterator[Finding]:
    """Look whether somebody else can read what opens the service."""
    for path in (auth_file(workspace), encryption_key_file(workspace), webhook_file(workspace)):
        if not path.exists():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield fail(
                "secrets", f"others may read {path} (mode {mode:o})", f"chmod 600 {path}, and "
                "replace it if others use this machine: remove it, and give `roundhouse up` again."
            )  # fmt: skip
        else:
            yield ok("secrets", f"{path} is for this user alone")


def ports(workspace: Path) -> Iterator[Finding]:
    """Look whether the ports are free that were asked for, or used by our own processes."""
    asked = read_settings(workspace) or ServiceSettings()
    own = set(_own_ports(workspace))
    for name, port, flag in (
        ("server", USUAL_PORT if asked.port is None else asked.port, "--port"),
        ("Hub", HUB_PORT, ""),
        ("webhook receiver", asked.webhook_port, "--webhook-port"),
    ):
        if port == 0:
            yield ok("port", f"the {name} takes any that is free")
        elif port in own or _is_free(port):
            yield ok("port", f"{port}, of the {name}, is free or its own")
        else:
            remedy = f"Give `roundhouse up` another {flag}." if flag else "It will take another."
            yield warn("port", f"{port}, of the {name}, is used by something else", remedy)


def _own_ports(workspace: Path) -> Iterator[int]:
    """Yield the ports of processes of ours that run."""
    records: list[ListeningRecord | None] = [
        prefect_server.read_record(workspace),
        hub_server.read_record(workspace),
    ]
    with contextlib.suppress(OSError, ValueError):
        told = (folder(workspace) / f"{RECEIVER}.json").read_bytes()
        records.append(ListeningRecord.model_validate_json(told))
    for record in records:
        if record is not None and record.is_running:
            yield record.port


def _is_free(port: int) -> bool:
    try:
        listening_socket(HOST, port).close()
    except OSError:
        return False
    return True
