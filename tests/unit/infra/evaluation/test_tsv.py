"""Cells are what their author wrote; what cannot be told apart into cells is refused."""

from pathlib import Path

import pandas as pd
import pytest

from infra.errors import StorageError, TableColumnError, TableFormatError
from infra.evaluation.tsv import altered, read_tsv
from tests.support.tables import choices, presence, write_table

HEADER = "index\timage\tquestion\tanswer\n"


def written(folder: Path, text: str | bytes) -> Path:
    """Write a file."""
    path = folder / "table.tsv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "cell", ["None", "NA", "N/A", "null", "nan", "5", "05", "5.0", "1e3", "True", "-", " ", "  x "]
)
def test_a_cell_is_literal(tmp_path: Path, cell: str) -> None:
    """Words that mean "missing" elsewhere, numbers and spaces stay text."""
    path = written(tmp_path, f"{HEADER}1\ti\t{cell}\ta\n")

    assert [row.cells["question"] for row in read_tsv(path)] == [cell]


def test_quotes_hold_tabs_and_line_breaks(tmp_path: Path) -> None:
    """As `pandas` writes and reads them."""
    rows = presence(2)
    rows[0]["question"] = 'a\tb\n"c"'
    path = write_table(tmp_path / "t.tsv", rows)

    assert rows == [dict(row.cells) for row in read_tsv(path, "yes_no")]
    assert pd.read_csv(path, sep="\t")["question"][0] == rows[0]["question"]


def test_a_mark_of_byte_order_is_no_part_of_a_name(tmp_path: Path) -> None:
    """Some editors put one before the first column's name."""
    path = written(tmp_path, f"\ufeff{HEADER}1\ti\tq\ta\n")

    assert [row.cells["index"] for row in read_tsv(path)] == ["1"]


def test_a_short_row_has_empty_cells(tmp_path: Path) -> None:
    """What is missing at the end is empty, and is judged like an empty cell."""
    path = written(tmp_path, f"{HEADER}1\ti\n2\ti\tq\ta\n")

    assert [row.cells["answer"] for row in read_tsv(path)] == ["", "a"]


def test_rows_are_counted_over_all_pieces(tmp_path: Path) -> None:
    """A table is read in pieces; numbers and places go on."""
    path = write_table(tmp_path / "t.tsv", presence(300))

    rows = list(read_tsv(path))

    assert list(range(1, 301)) == [row.number for row in rows]
    assert f"{path}, row 300 (index '299')" == rows[-1].place


def test_a_row_can_be_kept_without_its_image(tmp_path: Path) -> None:
    """The other cells and the place stay."""
    row = next(read_tsv(write_table(tmp_path / "t.tsv", presence(1))))

    assert set(row.cells) - {"image"} == set(row.without_image().cells)
    assert row.place == row.without_image().place


@pytest.mark.parametrize(
    ("kind", "column"),
    [("mcq", "A"), ("mcq", "B"), ("mcq", "image"), ("yes_no", "answer"), ("vqa", "question")],
)
def test_a_missing_column_is_named(tmp_path: Path, kind: str, column: str) -> None:
    """The message has the file, the column, what is there, and what is needed."""
    rows = [{k: v for k, v in row.items() if k != column} for row in choices()]
    path = write_table(tmp_path / "t.tsv", rows)

    with pytest.raises(
        TableColumnError, match=rf"has no column '{column}'; it has .*'C'"
    ) as caught:
        list(read_tsv(path, kind))  # type: ignore[arg-type]

    assert str(path) in str(caught.value)
    assert f"A table of kind {kind} needs index" in str(caught.value)


def test_columns_are_looked_for_without_rows(tmp_path: Path) -> None:
    """A header alone shows what is missing."""
    with pytest.raises(TableColumnError, match="'image' or 'answer'"):
        list(read_tsv(written(tmp_path, "index\tquestion\n")))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "No columns to parse"),
        (f"{HEADER}1\ti\tq\ta\n2\ti\tq\ta\tmore\n", "Expected 4 fields in line 3, saw 5"),
        (f"{HEADER}1\ti\tq\ta\tmore\n2\ti\tq\ta\tmore\n", "more cells than the 4 columns"),
        (f'{HEADER}1\ti\t"q\ta\n', "EOF inside string"),
        (f"{HEADER}1\ti\tä\ta\n".encode("latin1"), "can't decode byte 0xe4"),
        (f"{HEADER}1\ti\tq\ta\n".encode("utf-16"), "can't decode byte 0xff"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str | bytes, told: str) -> None:
    """Nothing is shifted into other columns, cut, or read in a guessed encoding."""
    path = written(tmp_path, text)

    with pytest.raises(TableFormatError) as caught:
        list(read_tsv(path))

    assert told in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_an_error_of_storage(tmp_path: Path) -> None:
    """The operating system's word comes with the path."""
    with pytest.raises(StorageError, match=r"nowhere\.tsv: No such file"):
        list(read_tsv(tmp_path / "nowhere.tsv"))


@pytest.mark.parametrize(
    ("cells", "counts"),
    [
        (["a", "b", "c"], (0, 0)),
        (["a", "None", "NA"], (2, 0)),
        (["1", "2", "3"], (0, 0)),  # whole numbers come back as they are
        (["1", "2", ""], (0, 2)),  # with a gap they become 1.0 and 2.0
        (["1", "2", "NA"], (1, 2)),
        (["01", "x", "y"], (0, 0)),
        (["01", "2", "3"], (0, 1)),
        (["1.50", "2.25", "3"], (0, 2)),  # 1.5 and 3.0
    ],
)
def test_what_guessing_would_alter_is_counted(cells: list[str], counts: tuple[int, int]) -> None:
    """Rows that the defaults of `pandas` would drop a cell of, or show otherwise."""
    assert counts == altered([{"A": cell, "B": "text"} for cell in cells])


def test_a_row_is_counted_once() -> None:
    """However many of its cells are concerned."""
    assert altered([{"A": "NA", "B": "None"}, {"A": "x", "B": "y"}]) == (1, 0)
