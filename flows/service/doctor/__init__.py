"""Look at everything that a service stands on, and say what to do about what is not well."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from flows.recipe import Recipe
from flows.service.doctor import machine, outside, own
from flows.service.doctor.finding import Finding, State

__all__ = ["Finding", "State", "examine"]


def examine(workspace: Path, recipes: Sequence[Recipe]) -> Iterator[Finding]:
    """Yield what is found, one by one; nothing is started, and nothing is left behind.

    Args:
        workspace: Folder of this machine for the store, caches and servers.
        recipes: Whose stores and Hubs are looked at, too.
    """
    yield from machine.versions()
    yield from machine.devices()
    yield machine.disk(workspace)
    yield machine.memory()
    for recipe in recipes:
        yield outside.store(recipe, workspace)
        yield from outside.hub(recipe, workspace)
        yield from outside.store_clock(recipe)
    yield from own.server(workspace)
    yield from own.members(workspace)
    yield from own.private_files(workspace)
    yield from own.ports(workspace)
