"""A lease in somebody's hand: renewed while work goes on, given back behind it, lost if overdue.

The register of a lease is written anew by its holder several times in a term.  A holder counts its
term from before it asked to write, and whoever watches from after reading: so the one is over
before the other, and there are never two who may believe that they hold.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator

from pydantic import BaseModel, ConfigDict

from infra.errors import LeaseLostError, StorageError, StoreError
from infra.files import canonical_json
from infra.store.process import Process
from infra.store.registers import Registers

RENEWALS = 6
"""How often a lease is renewed in a term."""
_TRUSTED = 0.9  # of its term: clocks of two machines do not run equally fast


class Holding(BaseModel):
    """What the register of a lease says.  No two contents of one register are equal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str  # the lease's name
    epoch: int  # counts the holders; a later one's is higher, for good
    renewal: int
    seconds: float  # the term: without a word for so long, the holder counts as gone
    holder: Process
    nonce: str
    released: bool = False

    def written(self) -> bytes:
        """Return it as the register holds it."""
        return canonical_json(self.model_dump(mode="json"))


class Lease:
    """The right to work on something, as long as `require_held` agrees."""

    def __init__(
        self,
        registers: Registers,
        register: str,
        holding: Holding,
        version: str,
        clock: Callable[[], float],
        told_at: float,
    ) -> None:
        """Take what was just written; `told_at` is when the clock told that it was asked for."""
        self._registers = registers
        self._register = register
        self._holding = holding
        self._version = version
        self._clock = clock
        self._told_at = told_at
        self._lost = False
        self._writing = threading.Lock()

    @property
    def epoch(self) -> int:
        """The fencing token: whoever takes the lease over later has a higher one."""
        return self._holding.epoch

    def require_held(self) -> None:
        """Go on only if nobody can have taken the lease over.

        Raises:
            LeaseLostError: Somebody has, or could have.
        """
        silent = self._clock() - self._told_at
        if self._lost or silent >= _TRUSTED * self._holding.seconds:
            raise LeaseLostError(
                f"This process no longer holds the lease on {self._holding.what} (epoch "
                f"{self.epoch}): it was stopped, or did not reach the store, for longer than the "
                f"{self._holding.seconds:g} s after which others may go on. Give the same command "
                "again: it goes on from what is finished."
            )

    def confirm(self) -> None:
        """Go on only if nobody has taken the lease over, as the store itself tells.

        For the step that others see: `require_held` knows of a successor only from the last
        renewal on.

        Raises:
            LeaseLostError: Somebody has.
            StoreError: The store refuses.
            StorageError: As above.
        """
        self.renew()
        self.require_held()

    def renew(self) -> None:
        """Say that the holder is there; notice if another one is.

        Raises:
            StoreError: The store refuses.
            StorageError: As above.
        """
        with self._writing:
            if not self._lost:
                self._write(self._holding.model_copy(update={"renewal": self._holding.renewal + 1}))

    def release(self) -> None:
        """Give the lease back, so that nobody need wait for its end.

        Raises:
            StoreError: The store refuses.
            StorageError: As above.
        """
        with self._writing:
            if not self._lost:
                self._write(self._holding.model_copy(update={"released": True}))
                self._lost = True

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease while the block runs, and give it back behind it."""
        over = threading.Event()
        thread = threading.Thread(target=self._keep, args=(over,), name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            with contextlib.suppress(StoreError, StorageError):  # it then ends by itself
                self.release()
            thread.join()

    def _keep(self, over: threading.Event) -> None:
        while not over.wait(self._holding.seconds / RENEWALS):
            with contextlib.suppress(StoreError, StorageError):  # the next try may succeed
                self.renew()

    def _write(self, holding: Holding) -> None:
        asked_at = self._clock()
        version = self._registers.swap(self._register, holding.written(), self._version)
        if version is None:
            self._lost = True
        else:
            self._holding, self._version, self._told_at = holding, version, asked_at
