"""What a store keeps for nobody: objects without a manifest, and what killed writers left."""

from typing import NamedTuple

from infra.errors import StoreError
from infra.store.audit import named_by
from infra.store.inventory import Inventory, Kept, Leftover

DAY = 24 * 3600.0
YOUNGEST = 1.0  # days; work that is not recorded yet must not lose its objects


class Garbage(NamedTuple):
    """What may be removed."""

    objects: tuple[Kept, ...]
    leftovers: tuple[Leftover, ...]

    @property
    def bytes(self) -> int:
        """How much room it takes, as far as that is told."""
        return sum(kept.size for kept in self.objects) + sum(rest.size for rest in self.leftovers)


def find_garbage(inventory: Inventory, days: float) -> Garbage:
    """Return the objects that no manifest names and what belongs to nothing, older than ``days``.

    Objects are listed before manifests are read: what is recorded in between is seen.

    Raises:
        StoreError: ``days`` is less than one: work under way could lose its objects.
        CorruptArtifactError: A manifest cannot be read, so nobody knows what it names.
        StorageError: The store cannot be read.
    """
    if days < YOUNGEST:
        raise StoreError(
            f"Objects of the last {days:g} days may belong to work that is not on record yet. Ask "
            f"for those older than {YOUNGEST:g} day at least, and than the longest run."
        )
    old = tuple(kept for kept in inventory.objects() if kept.age > days * DAY)
    named = named_by(tuple(inventory.manifests()))
    return Garbage(
        objects=tuple(kept for kept in old if kept.digest not in named),
        leftovers=tuple(inventory.leftovers(days * DAY)),
    )


def remove_garbage(inventory: Inventory, garbage: Garbage, days: float) -> None:
    """Remove it, but for objects that were written again, or put on record, meanwhile.

    Raises:
        CorruptArtifactError: As above.
        StorageError: The store cannot be written.
        StoreError: As above.
    """
    named = named_by(tuple(inventory.manifests()))  # a first listing may have come too early
    for kept in garbage.objects:
        now = inventory.look(kept.digest)
        if kept.digest not in named and now is not None and now.age > days * DAY:
            inventory.remove(kept.digest)
    for leftover in garbage.leftovers:
        inventory.discard(leftover)
