"""Rows of a TSV file exactly as their author wrote them.

VLMEvalKit reads its tables with the defaults of `pandas`, which guesses types: an option `None` or
`NA` disappears, and `5` may become `5.0`.  Here the same parser is used, so that quotes and line
breaks mean the same, but every cell stays text; `altered` says what the guessing would have done.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import NamedTuple

import pandas as pd

from infra.errors import TableColumnError, TableFormatError
from infra.evaluation.benchmark import Kind
from infra.files import explaining

OPTIONS = tuple(ascii_uppercase)
"""Columns of options, where a table has them; also the letters that they are offered under."""

_COLUMNS = ("index", "image", "question", "answer")
_CHOICES = ("A", "B")
_ROWS_AT_ONCE = 128  # cells of images have hundreds of kilobytes each


class TsvRow(NamedTuple):
    """One row, and where it stands."""

    number: int  # counted from 1, without the header
    cells: Mapping[str, str]  # by column; "" where the row has none
    path: Path

    @property
    def place(self) -> str:
        """Say where a reader finds this row."""
        return f"{self.path}, row {self.number} (index {self.cells.get('index', '')!r})"

    def without_image(self) -> "TsvRow":
        """Return the row without the cell that makes tables large."""
        cells = {name: cell for name, cell in self.cells.items() if name != "image"}
        return self._replace(cells=cells)


def read_tsv(path: Path, kind: Kind | None = None) -> Iterator[TsvRow]:
    """Yield the rows of a table, a few at a time in memory.

    Args:
        path: The file.
        kind: What it must be a table of; None: any.

    Raises:
        StorageError: The file cannot be read.
        TableFormatError: It is no tab-separated text in UTF-8, or a row has too many cells.
        TableColumnError: A column that this kind needs is missing.
    """
    with explaining(path, "reading"):
        try:
            yield from _rows(path, kind)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
            raise TableFormatError(
                f"{path} cannot be read as a table: {reason}. It must be text in UTF-8, one row a "
                'line, cells divided by tabs, and cells that hold tabs or line breaks in "quotes". '
                "If it was downloaded or copied, fetch it again: it may be cut short."
            ) from error


def _rows(path: Path, kind: Kind | None) -> Iterator[TsvRow]:
    number = 0
    with pd.read_csv(
        path, sep="\t", dtype=str, na_filter=False, chunksize=_ROWS_AT_ONCE, encoding="utf-8"
    ) as chunks:
        for chunk in chunks:
            if number == 0:
                _check_columns(chunk, path, kind)
            for cells in chunk.to_dict("records"):
                number += 1
                yield TsvRow(number, {str(name): cell for name, cell in cells.items()}, path)


def _check_columns(chunk: pd.DataFrame, path: Path, kind: Kind | None) -> None:
    columns = [str(name) for name in chunk.columns]
    needed = (*_COLUMNS, *(_CHOICES if kind == "mcq" else ()))
    missing = [name for name in needed if name not in columns]
    if missing:
        raise TableColumnError(
            f"{path} has no column {' or '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, columns))}. A table{f' of kind {kind}' if kind else ''} "
            f"needs {', '.join(needed)}: add what is missing, or name the table's true kind."
        )
    if not isinstance(chunk.index, pd.RangeIndex):  # pandas then takes the first cells for names
        raise TableFormatError(
            f"{path}: its rows have more cells than the {len(columns)} columns of the first line "
            f"({', '.join(map(repr, columns))}). Remove tabs at the ends of rows, or name every "
            "column in the first line."
        )


def altered(rows: Sequence[Mapping[str, str]]) -> tuple[int, int]:
    """Count rows with cells that the defaults of pandas would drop, and would write otherwise.

    Args:
        rows: Some columns of all rows of a table.

    Returns:
        Rows with cells such as `NA` that would be missing; rows with cells such as `5` that would
        come back as another text, as in `5.0`.
    """
    literal = pd.DataFrame(list(rows), dtype=str)
    text = io.StringIO(literal.to_csv(sep="\t", index=False))
    guessed = pd.read_csv(text, sep="\t", skip_blank_lines=False, low_memory=False)
    missing = guessed.isna() & (literal != "")
    other = guessed.notna() & (guessed.map(str) != literal)
    return int(missing.any(axis=1).sum()), int(other.any(axis=1).sum())
