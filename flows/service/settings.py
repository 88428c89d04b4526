"""What a service was asked for: on record in its workspace, so that a later `up` asks for no less.

    workspace/service/asked.json    what `roundhouse up` was told, so far

A flag that a later `up` leaves out keeps its value: `roundhouse up` alone mends what has died, and
changes nothing.
"""

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from flows.embedded import HOST
from infra.files import write_atomically
from tasks.specs import Spec

WEBHOOK_PORT = 8450


class ServiceSettings(Spec):
    """All that `roundhouse up` can be asked for."""

    recipes: tuple[str, ...] = Field(
        default=(), description="Recipe files as absolute paths, or names of packaged recipes."
    )
    devices: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|\d+(,\d+)*)$",
        description="auto: all GPUs, or the CPU where there is none; cpu; or numbers of GPUs.",
    )
    cpu_workers: int = Field(
        default=1, ge=1, description="Workers of the pool gpu where the device is the CPU."
    )
    schedule: str | None = Field(
        default=None, description="Cron expression of quantize/scheduled, in UTC; None: none."
    )
    host: str = Field(default=HOST, min_length=1, description="Address that the server listens on.")
    port: int | None = Field(
        default=None, ge=0, lt=65536, description="Its port; None: 4200, or any that is free."
    )
    webhook_port: int = Field(
        default=WEBHOOK_PORT, ge=0, lt=65536, description="Port of the webhook receiver."
    )
    api_processes: int = Field(default=1, ge=1, description="Processes that serve the API.")


def folder(workspace: Path) -> Path:
    """Return where the records of a service are."""
    return workspace / "service"


def read_settings(workspace: Path) -> ServiceSettings | None:
    """Return what a workspace's service was asked for; None if nothing readable is on record."""
    try:
        return ServiceSettings.model_validate_json(_path(workspace).read_bytes())
    except (OSError, ValidationError):
        return None


def merged(workspace: Path, asked: dict[str, Any]) -> ServiceSettings:
    """Return what is asked for now, and beside it what was before; None: not asked.

    Raises:
        pydantic.ValidationError: A value is not what it must be.
    """
    before = read_settings(workspace) or ServiceSettings()
    given = {name: value for name, value in asked.items() if value is not None}
    return ServiceSettings.model_validate(before.model_dump() | given)


def write_settings(workspace: Path, settings: ServiceSettings) -> None:
    """Put on record what is asked for.

    Raises:
        StorageError: The workspace cannot be written.
    """
    write_atomically(_path(workspace), settings.model_dump_json(indent=2).encode())


def _path(workspace: Path) -> Path:
    return folder(workspace) / "asked.json"
