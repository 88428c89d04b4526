"""The leases of a store: who may work on what, so that nothing is done twice at once.

Whoever wants a lease that is held watches its register.  If that stays as it is for a whole term,
by the watcher's own clock, the holder is gone and the lease is taken over, with the epoch counted
up by one; clocks of two machines are never compared.  Of a time in which nobody looked no more
counts than that between two renewals: if the store was away, its holder could not write either.  A
holder that was stopped and wakes up finds its writing refused.  One that is known to have died on
this machine is not waited for.
"""

import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from infra.errors import LeaseHeldError, StoreError
from infra.store.lease import RENEWALS, Holding, Lease
from infra.store.process import is_dead, this_process
from infra.store.registers import Content, Registers

TERM = 30.0
"""Seconds without a word after which a holder counts as gone."""

_LOOKS = 15  # how often a waiter looks, in a term

T = TypeVar("T")


class Sighting(NamedTuple):
    """Somebody else's holding, and how long it has been as it is, by the watcher's clock."""

    holding: Holding
    silent: float  # seconds
    looked: float  # when it was last seen so


class Leases(NamedTuple):
    """The leases of a store."""

    registers: Registers
    term: float = TERM
    clock: Callable[[], float] = time.monotonic

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[Lease]:
        """Hold a lease while the block runs.

        Waits only until it is known whether somebody else does: then it is renewed.

        Raises:
            LeaseHeldError: Somebody does.
            StoreError: The store refuses.
            StorageError: As above.
        """
        first = seen = None
        while isinstance(got := self.attempt(name, seen), Sighting):
            first, seen = first or got, got
            if got.holding != first.holding:
                raise LeaseHeldError(name, got.holding.holder.words)
            time.sleep(self.term / _LOOKS)
        with got.kept():
            yield got

    def share(
        self,
        name: str,
        done: Callable[[], T | None],
        make: Callable[[Lease], T],
        waiting: Callable[[Holding], None],
    ) -> T:
        """Return what is made once, by whoever comes first, and found by everybody else.

        Args:
            name: What is to be made.
            done: Finds it, or returns None.
            make: Makes it, so that `done` finds it.  It is called while the lease is held.
            waiting: Told once of everybody who is waited for.

        Raises:
            StoreError: The store refuses.
            StorageError: As above.
        """
        seen = None
        while True:
            found = done()
            if found is not None:
                return found
            got = self.attempt(name, seen)
            if isinstance(got, Lease):
                with got.kept():
                    found = done()  # its last holder may just have finished
                    return make(got) if found is None else found
            if seen is None or got.holding.epoch != seen.holding.epoch:
                waiting(got.holding)
            seen = got
            time.sleep(self.term / _LOOKS)

    def attempt(self, name: str, seen: Sighting | None) -> Lease | Sighting:
        """Take a lease if it is free or its holder is gone; else tell who holds it.

        Args:
            name: What is to be worked on.
            seen: What the last attempt told; without it, nobody's silence has lasted yet.

        Raises:
            StoreError: The store refuses.
            StorageError: As above.
        """
        register = hashlib.sha256(name.encode()).hexdigest()
        while True:
            told_at = self.clock()
            content = self.registers.read(register)
            last = None if content is None else _holding(content, name)
            if last is not None:
                now = self._watched(last, seen)
                if not self._is_over(now):
                    return now
            ours = self._next(name, last)
            version = (
                self.registers.create(register, ours.written())
                if content is None
                else self.registers.swap(register, ours.written(), content.version)
            )
            if version is not None:
                return Lease(self.registers, register, ours, version, self.clock, told_at)

    def _watched(self, holding: Holding, seen: Sighting | None) -> Sighting:
        now = self.clock()
        if seen is None or seen.holding != holding:
            return Sighting(holding, silent=0.0, looked=now)
        more = min(now - seen.looked, holding.seconds / RENEWALS)
        return Sighting(holding, seen.silent + more, looked=now)

    def _is_over(self, seen: Sighting) -> bool:
        """Tell whether nobody holds a lease any more."""
        return (
            seen.holding.released
            or seen.silent >= seen.holding.seconds
            or is_dead(seen.holding.holder)
        )

    def _next(self, name: str, last: Holding | None) -> Holding:
        return Holding(
            what=name,
            epoch=1 if last is None else last.epoch + 1,
            renewal=0,
            seconds=self.term,
            holder=this_process(),
            nonce=secrets.token_hex(8),
        )


def _holding(content: Content, name: str) -> Holding:
    try:
        return Holding.model_validate_json(content.data)
    except ValidationError as error:
        raise StoreError(
            f"The lease on {name} cannot be read: {error.error_count()} faults in {content.data!r}."
            " Another version of Roundhouse may have written it. When nobody works with this store "
            "any more, remove its folder `leases`."
        ) from error
