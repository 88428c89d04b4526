"""Join a service with one more worker: on another machine, as a rule, and started by hand or unit.

`roundhouse up` starts those of its own machine itself, in the same way.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings, temporary_settings
from pydantic import ValidationError

from flows import server
from flows.errors import DeviceError, RecipeError, ServerError
from flows.service.access import CLIENT_AUTH
from flows.service.devices import Device, devices_of
from flows.service.settings import ServiceSettings
from flows.service.workers import (
    PARENTS,
    THREADS,
    WORKERS,
    Client,
    Worker,
    own_environment,
    share_of,
)
from infra.files import make_folder


def device_of(asked: str, gpus: tuple[str, ...]) -> Device:
    """Return the one device that a worker works on.

    Args:
        asked: auto, cpu, or the number of a GPU.
        gpus: This machine's, as CUDA_VISIBLE_DEVICES names each.

    Raises:
        DeviceError: It is not there, or there are several.
    """
    try:
        settings = ServiceSettings(devices=asked)
    except ValidationError as error:
        raise DeviceError(f"--device {asked}: may be auto, cpu, or the number of a GPU.") from error
    found = devices_of(settings, gpus)
    if len(found) > 1:
        raise DeviceError(
            f"--device {asked} is {len(found)} GPUs, and a worker uses one alone. Start one worker "
            "for each: --device 0, --device 1, …"
        )
    return found[0]


def worker_on(host: str, device: Device | None, gpus: tuple[str, ...], cores: int) -> Worker:
    """Return a worker of a machine; its share of the cores is that of one GPU among all.

    Args:
        host: Name of the machine.
        device: What it works on; None: nothing, it carries out runs that hand out work.
        gpus: This machine's.
        cores: So many the machine has.
    """
    if device is None:
        return Worker(f"{host}-parents", PARENTS, None)
    threads = share_of(cores, len(gpus), device) if device.visible else None
    return Worker(f"{host}-{device.name}", WORKERS, device, threads)


def named(worker: Worker, name: str) -> Worker:
    """Return a worker that the pages call ``name``.

    Raises:
        RecipeError: Prefect knows no such names.
    """
    if not name or set(name) & set("/%"):
        raise RecipeError(f"--name {name!r}: may not be empty, nor contain / or %.")
    return worker._replace(name=name)


def client_of(workspace: Path, pool: str) -> Client:
    """Return where the service is: as configured, or else the one of this workspace.

    Raises:
        ServerError: There is none, it refuses us, or it has no such work pool.
        StorageError: The file that holds the workspace's string cannot be read.
    """
    with temporary_settings(_where(workspace)):
        api = get_current_settings().api
        url = str(api.url)
        server.require_answer(url)
        _require_pool(pool, url)
        access = (
            {} if api.auth_string is None else {CLIENT_AUTH: api.auth_string.get_secret_value()}
        )
    return Client(url, access)


def _where(workspace: Path) -> dict[str, Any]:
    """Return what Prefect must be told of the service of a workspace, if none is configured."""
    if server.configured_url() is not None:
        return {}
    record = server.read_record(workspace)
    if record is None or not record.is_running:
        raise ServerError(
            f"Which service is this worker to join? Set PREFECT_API_URL and {CLIENT_AUTH} to its "
            f"address and its string, or start one here: `roundhouse up --workspace {workspace}`."
        )
    return server.client_settings(workspace, record)


def _require_pool(pool: str, url: str) -> None:
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(pool)
        except ObjectNotFound as error:
            raise ServerError(
                f"The Prefect server at {url} has no work pool {pool}. `roundhouse up` there, or "
                "`python -m flows.service.registering`, registers all that a service has."
            ) from error


def become(worker: Worker, client: Client, workspace: Path, *, run_once: bool) -> NoReturn:
    """Turn this process into a worker; signals go straight to it, as systemd and Docker want it.

    Raises:
        StorageError: The workspace cannot be written.
    """
    make_folder(workspace)
    once = ["--run-once"] if run_once else []
    environment = _environment(worker, client, workspace, os.environ)
    os.execve(sys.executable, [*worker.command, *once], environment)  # noqa: S606 -- no shell is meant


def _environment(
    worker: Worker, client: Client, workspace: Path, given: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a worker: with all that Prefect is told here by its profile.

    A number of threads that is given is left alone.
    """
    told = get_current_settings().to_environment_variables(exclude_unset=True, include_secrets=True)
    own = own_environment(worker, workspace, client)
    if THREADS in given:
        own[THREADS] = given[THREADS]
    return {**given, **told, **own}
