"""Rows by number over several tables, and their order."""

from infra.calibration.report import Origin
from infra.calibration.rows import Row, RowSet, Table, shuffled


def a_table(name: str, count: int) -> Table:
    """Return a table of empty rows."""
    return Table(count, lambda index: Row(f"{name}:{index}", {}))


def test_rows_are_numbered_through_the_tables() -> None:
    """Row numbers go on from one table to the next; an empty table takes none."""
    tables = (a_table("a", 2), a_table("b", 0), a_table("c", 1), a_table("d", 2))
    rows = RowSet(tables, Origin(where="local", source="x"))

    assert len(rows) == 5
    assert [rows.row(n).id for n in range(5)] == ["a:0", "a:1", "c:0", "d:0", "d:1"]


def test_the_order_holds_every_row_once() -> None:
    """Shuffling neither loses a row nor draws one twice."""
    assert list(range(500)) == sorted(shuffled(500, seed=3))


def test_the_order_depends_on_the_seed() -> None:
    """Another seed is another order."""
    assert shuffled(50, seed=1) != shuffled(50, seed=2)


def test_the_order_is_the_same_for_ever() -> None:
    """A recorded order: no version of Python or torch may change which rows a seed draws."""
    assert shuffled(10, seed=42) == [3, 4, 1, 2, 6, 5, 9, 7, 8, 0]


def test_the_first_rows_are_not_favoured() -> None:
    """Over many seeds each of ten rows comes first about as often as any other."""
    firsts = [shuffled(10, seed)[0] for seed in range(2000)]

    counts = [firsts.count(row) for row in range(10)]
    assert all(130 < count < 270 for count in counts)
