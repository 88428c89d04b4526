"""What was computed, and how often, as the journal of the bucket tells it: no log can forget it.

Whoever computes a block holds its lease, and whoever has computed one puts its manifest on record.
So a lease that is taken where there is no manifest begins a computation.
"""

import contextlib
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from infra.store.lease import Holding
from tasks.evalspecs import AnswersRef
from tests.support.kept_bucket import Entry, entries

BLOCK = "block "  # how the lease of a block is called


class Begun(NamedTuple):
    """The beginning of a computation."""

    pid: int
    at: float  # seconds since the epoch


class Block(NamedTuple):
    """The computations of one block."""

    what: str
    begun: tuple[Begun, ...]  # in order; only the last one was finished
    after_finished: int  # computations that began although the block was finished: none may

    @property
    def lost(self) -> dict[int, float]:
        """By process that did not finish it: seconds until another one had to begin again."""
        return {one.pid: again.at - one.at for one, again in itertools.pairwise(self.begun)}


def blocks_in(journal: Path, root: str) -> tuple[Block, ...]:
    """Return the blocks that were computed for the store at ``root``, as bucket/prefix."""
    finished: set[str] = set()
    begun: dict[str, list[Begun]] = defaultdict(list)
    late: dict[str, int] = defaultdict(int)
    for folder, name, entry in _written(journal, root):
        if folder == "manifests":
            finished.add(name)
        if folder == "leases" and (taken := _taken(entry.body)) is not None:
            begun[taken.what].append(Begun(taken.holder.pid, entry.at))
            late[taken.what] += any(name.startswith(_key_of(taken.what)) for name in finished)
    return tuple(Block(what, tuple(all_of), late[what]) for what, all_of in begun.items())


def results_in(journal: Path, root: str) -> tuple[float, ...]:
    """Return when results were put on record in the store at ``root``: seconds since the epoch."""
    return tuple(
        entry.at for folder, _name, entry in _written(journal, root) if folder == "manifests"
    )


def answers_in(journal: Path, root: str) -> frozenset[tuple[str, str]]:
    """Return benchmark and digest of all answers that are on record in the store at ``root``."""
    found: set[tuple[str, str]] = set()
    for folder, _name, entry in _written(journal, root):
        if folder == "manifests":
            told = json.loads(entry.body)
            with contextlib.suppress(ValidationError):
                answers = AnswersRef.model_validate(told)
                found.add((answers.benchmark, answers.ref.sha256))
    return frozenset(found)


def holders_in(journal: Path) -> frozenset[int]:
    """Return the processes that have a block in hand, dead ones included."""
    last: dict[str, Holding] = {}
    for entry in entries(journal, "/leases/"):
        if entry.method == "PUT":
            last[entry.path] = Holding.model_validate_json(entry.body)
    return frozenset(
        holding.holder.pid
        for holding in last.values()
        if holding.what.startswith(BLOCK) and not holding.released
    )


def _written(journal: Path, root: str) -> Iterator[tuple[str, str, Entry]]:
    """Yield folder, name and entry of each object that was written below ``root``."""
    for entry in entries(journal, f"/{root}/"):
        if entry.method == "PUT":
            *_, folder, name = entry.path.split("/")
            yield folder, name, entry


def _taken(body: bytes) -> Holding | None:
    """Return who has just taken the lease of a block; None: it is another one, or renewed."""
    holding = Holding.model_validate_json(body)
    is_new = holding.renewal == 0 and not holding.released
    return holding if is_new and holding.what.startswith(BLOCK) else None


def _key_of(what: str) -> str:
    """Return how the name of a block's manifest begins, which its lease tells in brackets."""
    return what.rpartition("(")[2].rstrip(")")
