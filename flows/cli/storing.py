"""`roundhouse store check | gc`: what the commands do."""

from pathlib import Path
from typing import Literal, NamedTuple

from rich.console import Console

from flows import recipefile
from flows.cli.exits import Exit
from flows.errors import RecipeError
from infra.errors import StoreError
from infra.store import Place, StoreAddress, open_store
from infra.store.audit import Findings, audit
from infra.store.garbage import find_garbage, remove_garbage
from infra.store.inventory import Inventory

_REMEDY = (
    "Whoever runs a recipe that needs one of these makes it again and mends the store, if its "
    "inputs can still be had; nothing here is ever used as it is. Look at the disk or the bucket, "
    "then run these recipes."
)


class Asked(NamedTuple):
    """Which store, as the command line says it."""

    recipe: str | None
    uri: str | None
    endpoint: str | None
    region: str | None
    checksums: Literal["when_supported", "when_required"]


def place_of(asked: Asked, workspace: Path) -> Place:
    """Return the place that is meant.

    Raises:
        RecipeError: Both a recipe and a store are named, or the recipe is none.
    """
    if asked.recipe is None:
        address = StoreAddress(
            uri=asked.uri,
            endpoint=asked.endpoint,
            region=asked.region,
            checksums=asked.checksums,
        )
        return Place.of(workspace, address)
    if asked.uri is not None:
        raise RecipeError(
            f"--recipe {asked.recipe} and --store {asked.uri} may name two stores: give one of "
            "them."
        )
    return recipefile.load(asked.recipe, ()).at(workspace)


def check(place: Place) -> Exit:
    """Read a store and tell what is wrong with it.

    Raises:
        StoreError: The store cannot be used.
        StorageError: It cannot be read.
    """
    found = audit(_inventory(place))
    console = _console()
    for fault in (*found.corrupt, *found.missing):
        console.print(fault, markup=False)
    console.print(_told(found, place), markup=False)
    if not found.sound:
        console.print(_REMEDY, markup=False)
    return Exit.OK if found.sound else Exit.VERIFICATION


def clean(place: Place, days: float, *, dry_run: bool) -> Exit:
    """Remove what a store keeps for nobody, or only tell of it.

    Raises:
        StoreError: The store cannot be used, or ``days`` are too few.
        StorageError: It cannot be read or written.
    """
    inventory = _inventory(place)
    garbage = find_garbage(inventory, days)
    console = _console()
    for kept in garbage.objects:
        console.print(f"{inventory.where(kept.digest)} ({kept.size} bytes)", markup=False)
    for leftover in garbage.leftovers:
        console.print(leftover.place, markup=False)
    if not dry_run:
        remove_garbage(inventory, garbage, days)
    console.print(
        f"{'To remove' if dry_run else 'Removed'}: {len(garbage.objects)} objects that no manifest "
        f"names and {len(garbage.leftovers)} leftovers, {garbage.bytes} bytes, older than "
        f"{days:g} days, from {place.store.uri}.",
        markup=False,
    )
    return Exit.OK


def _inventory(place: Place) -> Inventory:
    """Open a store that is there: a wrong path must not be called sound."""
    if not place.store.on_s3 and not Path(str(place.store.uri)).is_dir():
        raise StoreError(
            f"There is no store in {place.store.uri}. Name the folder or bucket with --store, the "
            "recipe that says where it is with --recipe, or the workspace with --workspace."
        )
    return open_store(place).inventory()


def _told(found: Findings, place: Place) -> str:
    orphans = (
        f" {len(found.orphans)} objects are on no record: work under way, or garbage that "
        "`roundhouse store gc` removes."
        if found.orphans
        else ""
    )
    return (
        f"{place.store.uri}: {found.objects} objects of {found.bytes} bytes and "
        f"{found.manifests} manifests read; {len(found.corrupt)} corrupt, {len(found.missing)} "
        f"missing.{orphans}"
    )


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False)
