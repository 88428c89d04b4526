"""One release of a tag at a time, on whichever machine of this store it is started."""

import contextlib
from collections.abc import Iterator

from infra.errors import LeaseHeldError, ReleaseUnderWayError
from infra.store import Store
from infra.store.lease import Lease
from infra.store.leases import TERM, Leases
from infra.triggers.key import TagKey


@contextlib.contextmanager
def claimed(store: Store, key: TagKey, *, term: float = TERM) -> Iterator[Lease]:
    """Hold the right to release ``key`` while the block runs.

    Whoever holds it may be killed: then nobody does, at once on the same machine and a term later
    on others, for which is waited here.

    Args:
        store: The store of all who may release.
        key: What is released.
        term: Seconds after which a holder that says nothing counts as gone.

    Raises:
        ReleaseUnderWayError: Another process holds it, and is at work.
        StoreError: The store refuses.
        StorageError: As above.
    """
    leases = Leases(store.registers(), term)
    with contextlib.ExitStack() as held:
        try:
            lease = held.enter_context(leases.held(f"release of {key.model_dump_json()}"))
        except LeaseHeldError as error:
            raise ReleaseUnderWayError(
                f"{key.words} is being released by {error.holder}. Wait for it to end; if it "
                "fails, the same command goes on from what it has finished."
            ) from error
        yield lease
