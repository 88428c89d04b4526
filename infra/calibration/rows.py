"""Rows by number, wherever they come from, and the order in which they are drawn.

A set is a few tables (files, or a split of a Hub data set) with random access.  A row keeps a
name that a person can find again, "notes.jsonl:17", for errors and for the report.
"""

import bisect
import hashlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from infra.calibration.report import Origin


class Row(NamedTuple):
    """One row of a set."""

    id: str  # where it stands, as "notes.jsonl:17"
    values: Mapping[str, Any]  # column to value, unchecked
    running: bool = False  # text without document bounds: every window of it may be a sample


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that can be fetched by number."""

    count: int
    fetch: Callable[[int], Row]  # 0..count-1; raises BadRowError


@dataclass(frozen=True, slots=True)
class RowSet:
    """All rows of a calibration source, numbered through its tables."""

    tables: tuple[Table, ...]
    origin: Origin

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(table.count for table in self.tables)

    def row(self, index: int) -> Row:
        """Return row ``index`` of the set.

        Raises:
            BadRowError: The row cannot be read.
        """
        ends = list(itertools.accumulate(table.count for table in self.tables))
        which = bisect.bisect_right(ends, index)
        before = ends[which - 1] if which else 0
        return self.tables[which].fetch(index - before)


def shuffled(count: int, seed: int) -> list[int]:
    """Return ``0..count-1`` in an order that depends on the seed alone.

    Each number is ranked by a digest of (seed, number): no random state, and so the order stays
    the same with every version of Python and of torch.
    """
    return sorted(
        range(count), key=lambda index: hashlib.sha256(f"{seed}/{index}".encode()).digest()
    )
