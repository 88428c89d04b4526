"""Leases: never two holders, never one that outlives its word."""

import hashlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from infra.errors import LeaseHeldError, LeaseLostError, StoreError
from infra.store import FolderStore, Store
from infra.store.lease import RENEWALS, Holding, Lease
from infra.store.leases import Leases, Sighting
from infra.store.registers import FolderRegisters, Registers

TERM = 10.0
ACTORS = 3
NAME = "block 7"


class Clock:
    """A clock that stands until it is pushed; every machine has one, and no two agree."""

    def __init__(self, offset: float) -> None:
        self.now = offset

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class Machine:
    """Somebody who wants the lease, and may be stopped at any moment."""

    def __init__(self, registers: Registers, offset: float) -> None:
        self.clock = Clock(offset)
        self.leases = Leases(registers, TERM, self.clock)
        self.seen: Sighting | None = None
        self.lease: Lease | None = None

    def holds(self) -> bool:
        """Whether it may believe that it holds the lease."""
        try:
            if self.lease is not None:
                self.lease.require_held()
        except LeaseLostError:
            return False
        return self.lease is not None


class Rivals(RuleBasedStateMachine):
    """Machines that try, renew, give back and are stopped, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        registers = FolderRegisters(Path(self.folder.name))
        self.machines = [Machine(registers, 1000.0 * number) for number in range(ACTORS)]
        self.epochs: list[int] = []

    def teardown(self) -> None:
        """Remove the registers."""
        self.folder.cleanup()

    @rule(who=st.integers(0, ACTORS - 1))
    def attempt(self, who: int) -> None:
        """Try to take it."""
        machine = self.machines[who]
        if machine.holds():
            return
        got = machine.leases.attempt(NAME, machine.seen)
        if isinstance(got, Lease):
            machine.lease, machine.seen = got, None
            self.epochs.append(got.epoch)
        else:
            machine.seen = got

    @precondition(lambda self: any(machine.lease for machine in self.machines))
    @rule(who=st.integers(0, ACTORS - 1))
    def renew(self, who: int) -> None:
        """Say that one is still there, however late."""
        if (lease := self.machines[who].lease) is not None:
            lease.renew()

    @precondition(lambda self: any(machine.lease for machine in self.machines))
    @rule(who=st.integers(0, ACTORS - 1))
    def release(self, who: int) -> None:
        """Give it back."""
        if (lease := self.machines[who].lease) is not None:
            lease.release()

    @rule(seconds=st.sampled_from([0.1, 3.0, 9.9, 10.0, 25.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass everywhere."""
        for machine in self.machines:
            machine.clock.now += seconds

    @rule(who=st.integers(0, ACTORS - 1), looks=st.integers(1, 9))
    def watch(self, who: int, looks: int) -> None:
        """Look again and again, for up to more than a term, while nobody else does anything."""
        for _ in range(looks):
            self.attempt(who)
            self.one_holder()
            self.wait(TERM / 7)

    @invariant()
    def one_holder(self) -> None:
        """Never may two believe that they hold the lease."""
        assert sum(machine.holds() for machine in self.machines) <= 1

    @invariant()
    def epochs_rise(self) -> None:
        """Every holder has a higher epoch than all before it."""
        assert self.epochs == sorted(set(self.epochs))


TestRivals = Rivals.TestCase
TestRivals.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture
def leases(store: Store) -> Leases:
    """Return the leases of a store of each kind, with a short term."""
    return Leases(store.registers(), term=2.0)


def test_of_many_that_race_one_wins(leases: Leases) -> None:
    """Sixteen threads want a free lease at once; the others are told who has it."""
    start = threading.Barrier(16)
    got: list[Lease | Sighting] = []

    def race() -> None:
        start.wait()
        got.append(leases.attempt(NAME, None))

    threads = [threading.Thread(target=race) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (winner,) = (one for one in got if isinstance(one, Lease))
    others = [one.holding for one in got if isinstance(one, Sighting)]
    assert len(others) == 15
    assert {holding.epoch for holding in others} == {winner.epoch}


def test_a_lease_given_back_is_free_at_once(leases: Leases) -> None:
    """The next holder has the next epoch."""
    with leases.held(NAME) as first:
        pass
    with leases.held(NAME) as second:
        pass

    assert (first.epoch, second.epoch) == (1, 2)
    with pytest.raises(LeaseLostError, match=r"no longer holds the lease on block 7 \(epoch 1\)"):
        first.require_held()


def test_a_living_holder_is_named(leases: Leases) -> None:
    """As soon as it has renewed the lease; other leases are free."""
    with (
        leases.held(NAME),
        pytest.raises(LeaseHeldError, match=r"block 7 is in the hands of process \d+ on"),
        leases.held(NAME),
    ):
        pass
    with leases.held(NAME), leases.held("block 8") as other:
        other.require_held()


def test_a_lease_is_renewed_while_work_goes_on(leases: Leases) -> None:
    """For longer than its term nobody else gets it."""
    with leases.held(NAME) as lease:
        seen = None
        end = time.monotonic() + 2.5 * leases.term
        while time.monotonic() < end:
            seen = leases.attempt(NAME, seen)
            assert isinstance(seen, Sighting)
            lease.require_held()
            time.sleep(0.1)


def test_a_stale_holder_is_refused(leases: Leases) -> None:
    """Who was stopped for a term finds its lease taken, and its writing does not count."""
    stale = leases.attempt(NAME, None)
    assert isinstance(stale, Lease)
    seen = leases.attempt(NAME, None)
    while isinstance(seen, Sighting):
        time.sleep(0.05)
        seen = leases.attempt(NAME, seen)

    stale.renew()
    stale.release()

    for ask in (stale.require_held, stale.confirm):
        with pytest.raises(LeaseLostError):
            ask()
    seen.confirm()
    assert seen.epoch == stale.epoch + 1
    assert isinstance(leases.attempt(NAME, None), Sighting)


HOLDER = """
import sys, time
from pathlib import Path
from infra.store import FolderStore
from infra.store.leases import Leases
with Leases(FolderStore(Path(sys.argv[1])).registers()).held("block 7"):
    print("held", flush=True)
    time.sleep(600)
"""


class Killed(NamedTuple):
    """What a killed process of this machine left."""

    leases: Leases
    process: subprocess.Popen[str]


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Killed]:
    """Kill a process that holds the lease; leave it unburied."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGKILL)
        time.sleep(0.1)
        yield Killed(Leases(FolderStore(tmp_path).registers()), process)


def test_a_holder_that_was_killed_here_is_not_waited_for(killed: Killed) -> None:
    """This machine knows that it is dead, whether its parent has noticed or not."""
    started = time.monotonic()
    with killed.leases.held(NAME) as lease:
        pass

    assert lease.epoch == 2
    assert time.monotonic() - started < killed.leases.term / 3


@pytest.mark.parametrize("field", ["system", "started", "host"])
def test_a_holder_of_another_machine_is_waited_for(killed: Killed, field: str) -> None:
    """Its number means nothing here; only a whole term of silence does."""
    registers, name = killed.leases.registers, _only(killed.leases.registers)
    content = registers.read(name)
    assert content is not None
    holding = Holding.model_validate_json(content.data)
    elsewhere = {"system": "another start", "started": None, "host": "gpu-2"}[field]
    holder = holding.holder.model_copy(update={field: elsewhere})
    changed = holding.model_copy(update={"holder": holder, "seconds": 0.5})
    registers.swap(name, changed.written(), content.version)

    got = killed.leases.attempt(NAME, None)

    if field == "host":  # a name that people gave says nothing about where a process runs
        assert isinstance(got, Lease)
        return
    started = time.monotonic()
    while isinstance(got, Sighting):
        time.sleep(0.05)
        got = killed.leases.attempt(NAME, got)
    assert time.monotonic() - started >= 0.5
    assert got.epoch == 2


def _only(registers: Registers) -> str:
    assert isinstance(registers, FolderRegisters)
    (path,) = registers.folder.glob("*.json")
    return path.stem


def test_silence_hardly_counts_while_nobody_looks(tmp_path: Path) -> None:
    """If the store was away the holder could not write; it has time to when it is back."""
    clock = Clock(0.0)
    leases = Leases(FolderRegisters(tmp_path), TERM, clock)
    leases.attempt(NAME, None)
    seen = leases.attempt(NAME, None)
    assert isinstance(seen, Sighting)
    clock.now += 5 * TERM

    back = leases.attempt(NAME, seen)

    assert isinstance(back, Sighting)
    assert back.silent == TERM / RENEWALS


def test_a_holder_that_is_gone_is_given_up_however_slow_the_looks_are(tmp_path: Path) -> None:
    """A store may take longer for an answer than a holder between two renewals."""
    clock = Clock(0.0)
    leases = Leases(FolderRegisters(tmp_path), TERM, clock)
    leases.attempt(NAME, None)
    got = leases.attempt(NAME, None)
    looks = 0
    while isinstance(got, Sighting):
        looks += 1
        assert looks <= RENEWALS
        clock.now += TERM / 2
        got = leases.attempt(NAME, got)

    assert got.epoch == 2
    assert clock.now >= TERM


def test_what_is_made_once_is_found_by_the_others(leases: Leases) -> None:
    """Of three that want the same one makes it; the others wait, and are told for whom once."""
    made: list[int] = []
    waited: list[str] = []

    def make(lease: Lease) -> int:
        time.sleep(1.5 * leases.term)
        lease.require_held()
        made.append(lease.epoch)
        return 7

    found = _in_threads(
        3,
        lambda: leases.share(
            NAME,
            lambda: 7 if made else None,
            make,
            lambda holding: waited.append(holding.holder.words),
        ),
    )

    assert (found, made, len(waited)) == ([7, 7, 7], [1], 2)


def test_what_failed_is_made_by_the_next(leases: Leases) -> None:
    """An error gives the lease back at once; whoever waits takes over."""
    tries: list[int] = []

    def make(lease: Lease) -> int:
        tries.append(lease.epoch)
        time.sleep(0.2)
        if lease.epoch == 1:
            raise StoreError("out of order")
        return lease.epoch

    def share() -> int | str:
        try:
            return leases.share(NAME, lambda: None, make, lambda _holding: None)
        except StoreError as error:
            return str(error)

    assert sorted(map(str, _in_threads(2, share))) == ["2", "out of order"]
    assert tries == [1, 2]


def _in_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(work())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_register_that_is_no_lease_is_named(leases: Leases) -> None:
    """With what it holds, and what to do."""
    leases.registers.create(hashlib.sha256(NAME.encode()).hexdigest(), b"{}")

    with pytest.raises(StoreError, match=r"The lease on block 7 cannot be read: .* b'{}'"):
        leases.attempt(NAME, None)
