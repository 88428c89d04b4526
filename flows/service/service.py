"""Start all that a service is made of, in the order in which one needs the other; and end it.

Every step is idempotent: what is as it should be is left alone, what has died or has become
something else is started anew.  So giving the command again is also how a service is mended.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from prefect.client.orchestration import get_client

from flows import demonstration, embedded, hub_server, processes, server
from flows.endpoint import LOCAL
from flows.errors import ServerError
from flows.kept import Kept, ProcessRecord
from flows.server_process import ServerRecord, Wanted
from flows.service.access import auth_file, ensure_access
from flows.service.automations import ensure_automations
from flows.service.backing import DATABASE, REDIS, Backing, backing_of
from flows.service.deploying import register
from flows.service.devices import Device, cores_here, devices_of, gpus_here
from flows.service.lost import report_lost, runs_of
from flows.service.members import (
    API,
    RECEIVER,
    SERVICES,
    Receiver,
    kept_api,
    kept_receiver,
    kept_services,
)
from flows.service.pools import ensure_pools
from flows.service.recipes import Served, serve_recipes
from flows.service.rendering import Told
from flows.service.settings import ServiceSettings, folder, write_settings
from flows.service.workers import STOP_SECONDS, Client, kept_worker, workers_on
from infra.environment import RUN
from infra.files import make_folder

Say = Callable[[str], None]


class Member(NamedTuple):
    """A process of a service, and what became of it."""

    name: str
    how: str  # "started" or "re-used"
    pid: int
    address: str | None


class Service(NamedTuple):
    """What runs after `up`."""

    members: tuple[Member, ...]
    registered: bool  # whether anything had to be registered
    ui_url: str
    auth_file: Path


class Plan(NamedTuple):
    """What is to run, checked before anything is started."""

    workspace: Path
    settings: ServiceSettings
    backing: Backing
    devices: tuple[Device, ...]
    recipes: tuple[Served, ...]


def plan_of(workspace: Path, settings: ServiceSettings) -> Plan:
    """Check what is asked for.

    Raises:
        RecipeError: A recipe is not sound.
        DeviceError: A GPU is asked for that is not there.
        ServerError: The database or Redis is not given as it must be.
    """
    backing = backing_of()
    if settings.api_processes > 1 and not backing.is_shared:
        raise ServerError(
            f"--api-processes {settings.api_processes}: several processes need a database and a "
            f"Redis that they share. Set {DATABASE} and {REDIS}, or leave the flag at 1."
        )
    devices = devices_of(settings, gpus_here())
    return Plan(workspace, settings, backing, devices, serve_recipes(settings.recipes, workspace))


def up(workspace: Path, settings: ServiceSettings, say: Say) -> Service:
    """Start what does not run yet, and register what is not registered yet.

    Raises:
        FlowError: A recipe, a device or a port is not what it must be, or a process does not start.
        StorageError: The workspace cannot be written.
    """
    make_folder(folder(workspace))
    with embedded.locked(folder(workspace) / "up.lock"):
        plan = plan_of(workspace, settings)
        write_settings(workspace, settings)
        record, how = _server(plan, say)
        members = [Member("server", how, record.pid, record.ui_url), *_hub(plan, say)]
        with server.connected(workspace):
            registered = _register(plan, say)
        members += _members(plan, record, say)
        _stop_others(workspace, {member.name for member in members})
        return Service(tuple(members), registered, record.ui_url, auth_file(workspace))


def down(workspace: Path) -> tuple[str, ...]:
    """Stop all processes of a service, what they have started included; return their names.

    Workers first, whose runs then still find a server that hears how they ended.
    """
    if not workspace.is_dir():
        return ()
    make_folder(folder(workspace))
    with embedded.locked(folder(workspace) / "up.lock"):
        stopped = _stop_others(workspace, frozenset())
        ends = (("server", server.stop), ("hub", hub_server.stop))
        return (*stopped, *(name for name, end in ends if end(workspace)))


def _server(plan: Plan, say: Say) -> tuple[ServerRecord, str]:
    first = server.read_record(plan.workspace) is None
    how_long = " (the first time takes half a minute)" if first else ""
    say(f"Seeing to Prefect's server{how_long} ...")
    settings = plan.settings
    wanted = Wanted(
        settings.host, settings.port, guarded=True, processes=settings.api_processes,
        backing=plan.backing,
    )  # fmt: skip
    return server.ensure(plan.workspace, wanted)


def _hub(plan: Plan, say: Say) -> Iterator[Member]:
    """Start the workspace's own Hub where a recipe publishes to it."""
    publishes = [each.recipe.publish for each in plan.recipes]
    if any(publish is not None and publish.endpoint == LOCAL for publish in publishes):
        say("Seeing to the workspace's Hub ...")
        record, how = hub_server.ensure(plan.workspace)
        yield Member("hub", how, record.pid, record.endpoint)


def _register(plan: Plan, say: Say) -> bool:
    """Tell the server of pools, automations and deployments."""
    if not plan.settings.recipes:
        say("Seeing to the demo's data ...")
        demonstration.ensure_data(plan.workspace)
    told = Told(plan.recipes, plan.workspace, plan.settings.schedule or None)
    with get_client(sync_client=True) as client:
        ensure_pools(client)
        ensure_automations(client)
        return register(told, client)


def _members(plan: Plan, record: ServerRecord, say: Say) -> Iterator[Member]:
    """Start the processes that need the server."""
    workspace = plan.workspace
    access = ensure_access(workspace).for_client()
    apis = [record.api_url]
    for number in range(2, plan.settings.api_processes + 1):
        say(f"Seeing to API process {number} ...")
        api, how = kept_api(workspace, record, number).ensure(folder(workspace))
        apis.append(f"{api.address}/api")
        yield Member(f"api-{number}", how, api.pid, api.address)
    if plan.settings.api_processes > 1:
        yield _ensure(kept_services(workspace, plan.backing), workspace)
    clients = [Client(url, access) for url in apis]
    turns = zip(workers_on(plan.devices, cores_here()), itertools.cycle(clients))
    for worker, client in turns:
        say(f"Seeing to {worker.name} ...")
        yield _ensure(kept_worker(worker, workspace, client), workspace)
    watching = tuple(each.path for each in plan.recipes if each.recipe.watched)
    if watching:
        say("Seeing to the receiver of webhooks ...")
        settings = plan.settings
        wanted = Receiver(workspace, watching, settings.host, settings.webhook_port, clients[0])
        listening, how = kept_receiver(wanted).ensure(folder(workspace))
        yield Member(RECEIVER, how, listening.pid, listening.address)


def _ensure(kept: Kept[ProcessRecord], workspace: Path) -> Member:
    """Start a member; what one left behind that was killed is ended, and the server is told."""
    at = folder(workspace)
    record = kept.read(at)
    left = () if record and record.is_running and kept.fits(record) else runs_of(at, {kept.name})
    found, how = kept.ensure(at)
    report_lost(left, workspace)
    return Member(kept.name, how, found.pid, None)


def _stop_others(workspace: Path, wanted: set[str] | frozenset[str]) -> tuple[str, ...]:
    """Stop all members on record that are not wanted; workers and their runs all at once."""
    at = folder(workspace)
    others = sorted(set(_recorded(at)) - wanted)
    workers = [name for name in others if name != SERVICES and not name.startswith(API)]
    runs = runs_of(at, workers)
    processes.stop_all(_without_run(processes.marked(at, workers)), patience_seconds=STOP_SECONDS)
    late = runs_of(at, workers)  # of a worker that began them while it was stopped
    processes.stop_all(processes.marked(at, workers))  # runs whose worker had died
    stopped = tuple(name for name in others if _forget(at, name))
    report_lost({*runs, *late}, workspace)
    return stopped


def _without_run(pids: Iterable[int]) -> tuple[int, ...]:
    """Return the workers among processes; they end their runs themselves, and better."""
    return tuple(pid for pid in pids if RUN not in processes.environment(pid))


def _recorded(at: Path) -> Iterator[str]:
    """Yield the names of the members that are on record."""
    for pattern in ("worker-*.json", f"{RECEIVER}.json", f"{SERVICES}.json", f"{API}*.json"):
        yield from (path.stem for path in at.glob(pattern))


def _forget(at: Path, name: str) -> bool:
    """Stop what may be left of a member, and remove its record."""
    path = at / f"{name}.json"
    with embedded.locked(at / f"{name}.lock"):
        processes.stop_all(processes.marked(at, {name}))
        path.unlink(missing_ok=True)
    return True
