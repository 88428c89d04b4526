"""Work that several workers may want at once is done by one of them; the others wait for it.

Two runs of one recipe, or a run and what is left of an earlier one, meet at the same block.  Who
comes first holds its lease in the store; who comes later finds the outcome as soon as it is there,
or takes over when the first one falls silent.
"""

from collections.abc import Callable
from typing import TypeVar

from infra.store import Store
from infra.store.lease import Holding, Lease
from infra.store.leases import Leases
from tasks.progress import say

T = TypeVar("T")


def made_once(
    store: Store, what: str, *, done: Callable[[], T | None], make: Callable[[Lease], T]
) -> T:
    """Return what ``make`` makes, by whomever it is made.

    Args:
        store: Where the lease is, and where `done` looks.
        what: Names the work; equal names, equal work.
        done: Finds it, or returns None.
        make: Makes it, so that `done` finds it, while it holds the lease.

    Raises:
        StoreError: The store refuses.
        StorageError: As above.
    """

    def waiting(other: Holding) -> None:
        say(f"Waiting for {what}, which {other.holder.words} is at work on.")

    return Leases(store.registers()).share(what, done, make, waiting)
