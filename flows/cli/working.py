"""`roundhouse worker`: what the command does."""

import platform
from pathlib import Path
from typing import NamedTuple, NoReturn

from flows.cli.upflags import Pool
from flows.service.devices import cores_here, gpus_here
from flows.service.joining import become, client_of, device_of, named, worker_on


class Asked(NamedTuple):
    """What the command line asks for."""

    pool: Pool
    device: str
    name: str | None
    run_once: bool


def run(workspace: Path, asked: Asked) -> NoReturn:
    """Become a worker.

    Raises:
        DeviceError: The device is not there.
        RecipeError: The name is none.
        ServerError: There is no service, or it refuses us.
        StorageError: The workspace cannot be written.
    """
    at = workspace.absolute()
    gpus = gpus_here()
    device = device_of(asked.device, gpus) if asked.pool is Pool.GPU else None
    worker = worker_on(platform.node(), device, gpus, cores_here())
    if asked.name is not None:
        worker = named(worker, asked.name)
    become(worker, client_of(at, worker.pool), at, run_once=asked.run_once)
