"""`roundhouse up | down`: what the commands do."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from flows import recipefile, server
from flows.cli import exits
from flows.cli.exits import Exit
from flows.errors import RecipeError
from flows.service import service, settings
from flows.service.access import webhook_file
from flows.service.service import Service
from flows.service.settings import ServiceSettings

LOOK_SECONDS = 10.0  # between two looks at what has died


def up(workspace: Path, asked: Mapping[str, Any], *, foreground: bool) -> Exit:
    """Start the service, and say where it is.

    Raises:
        FlowError: A flag, a recipe, a device or a port is not what it must be, or a process does
            not start.
        StorageError: The workspace cannot be written.
    """
    at = workspace.absolute()
    told = Console(stderr=True, soft_wrap=True, highlight=False)
    wanted = settings_of(at, asked)
    if (url := server.configured_url()) is not None:
        raise RecipeError(
            f"PREFECT_API_URL (or the active Prefect profile) names the server {url}. `roundhouse "
            "up` starts one of its own: unset it, or register infra/deploy/prefect.yaml there."
        )
    show(service.up(at, wanted, told.print), at, Console(soft_wrap=True, highlight=False))
    if foreground:
        keep_up(at, wanted, told)
    return Exit.OK


def down(workspace: Path) -> Exit:
    """Stop the service, and say what was stopped."""
    stopped = service.down(workspace.absolute())
    told = f"Stopped: {', '.join(stopped)}." if stopped else "Nothing of this workspace runs."
    Console().print(told, highlight=False)
    return Exit.OK


def settings_of(workspace: Path, asked: Mapping[str, Any]) -> ServiceSettings:
    """Return what is asked for, on top of what was asked for before.

    Raises:
        RecipeError: A flag does not say what it must, or there is no such recipe.
    """
    given = dict(asked)
    if given["recipes"] is not None:
        given["recipes"] = tuple(recipefile.absolute(name) for name in given["recipes"])
    try:
        return settings.merged(workspace, given)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        name = str(detail["loc"][0]).replace("_", "-")
        raise RecipeError(f"--{name} {detail['input']}: {detail['msg']}.") from error


def keep_up(workspace: Path, wanted: ServiceSettings, told: Console) -> None:
    """Start again what dies, until a signal ends the command; then stop everything."""
    try:
        while True:
            time.sleep(LOOK_SECONDS)
            _look(workspace, wanted, told)
    finally:
        service.down(workspace)


def _look(workspace: Path, wanted: ServiceSettings, told: Console) -> None:
    """Start again what has died.  What goes wrong is told, and tried again at the next look."""
    try:
        found = service.up(workspace, wanted, lambda _: None)
    except Exception as error:  # noqa: BLE001 -- a server may die in the middle of any request
        told.print(f"Trying again in {LOOK_SECONDS:.0f} s: {exits.told(error)}", markup=False)
        return
    for member in found.members:
        if member.how != "re-used":
            told.print(f"{member.name} had died, and was started again.", markup=False)


def show(found: Service, workspace: Path, console: Console) -> None:
    """Print what runs, and how to use it."""
    table = Table(title="Roundhouse is up", title_justify="left")
    for column in ("process", "state", "number", "address"):
        table.add_column(column)
    for member in found.members:
        table.add_row(member.name, member.how, str(member.pid), member.address or "")
    console.print(table)
    console.print(f"Pages: {found.ui_url}, opened by what is in {found.auth_file}", markup=False)
    if any(member.name == "receiver" for member in found.members):
        console.print(f"Webhooks: secret in {webhook_file(workspace)}", markup=False)
    console.print(f"Logs: {workspace / 'logs'} and {workspace / 'prefect' / 'server.log'}")
