"""Write answers as the spreadsheet that VLMEvalKit's `run.py --mode eval` reads.

So that anybody can have our answers judged by the original.  Name the file MODEL_BENCHMARK.xlsx.
Some things differ on its side: a cell such as `None` or `NA`, be it an option or an answer, is read
back as missing, a column of numbers alone as numbers, and what counts are the rules of the version
that is installed.
"""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import xlsxwriter

from infra.errors import (
    EmptyTableError,
    ForeignPredictionsError,
    MissingPredictionsError,
    SpreadsheetError,
)
from infra.evaluation.cells import image_cell, index_of
from infra.evaluation.tsv import TsvRow, read_tsv
from infra.files import write_atomically

_LONGEST_CELL = 32_767  # characters; what is longer does not arrive
_DAY = datetime(1980, 1, 1, tzinfo=UTC)  # stands for today, so that equal answers give equal bytes


def write_spreadsheet(path: Path, table_path: Path, predictions: Mapping[int, str]) -> None:
    """Write the table's columns without images, and the predictions, to an xlsx file.

    Args:
        path: The file; replaced where it is there.
        table_path: The benchmark's TSV.
        predictions: Answers by index, of all rows that have an image.

    Raises:
        EmptyTableError: The table has no row with an image.
        MissingPredictionsError: A row has no prediction.
        ForeignPredictionsError: A prediction belongs to no row that is asked.
        SpreadsheetError: A cell cannot be written to a spreadsheet.
        TableError: The table cannot be read.
        StorageError: A file cannot be read or written.
    """
    rows = {
        index_of(row): row.without_image()
        for row in read_tsv(table_path)
        if image_cell(row) is not None
    }
    if not rows:
        raise EmptyTableError(
            f"{table_path} has no row with an image, so there is nothing to write. Give the table "
            "that the questions were taken from."
        )
    if missing := sorted(rows.keys() - predictions.keys()):
        raise MissingPredictionsError(
            f"{len(missing)} of the {len(rows)} rows of {table_path} have no prediction, the first "
            f"of them index {missing[0]}. Answer them first; VLMEvalKit would score the rest as "
            "if it were the whole."
        )
    if foreign := sorted(predictions.keys() - rows.keys()):
        raise ForeignPredictionsError(
            f"{len(foreign)} predictions are of rows that {table_path} does not ask, the first of "
            f"them index {foreign[0]}. Give the table that the questions were taken from."
        )
    write_atomically(path, _workbook(rows, predictions))


def _workbook(rows: Mapping[int, TsvRow], predictions: Mapping[int, str]) -> bytes:
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as book:
        book.set_properties({"created": _DAY})
        sheet = book.add_worksheet()
        for line, texts in enumerate(_lines(rows, predictions)):
            for column, text in enumerate(texts):
                if isinstance(text, int):
                    sheet.write_number(line, column, text)
                else:  # always as text: "=1" is an answer and no formula, and "5" no number
                    sheet.write_string(line, column, _checked(text, line))
    return data.getvalue()


def _lines(
    rows: Mapping[int, TsvRow], predictions: Mapping[int, str]
) -> Sequence[Sequence[str | int]]:
    """Lay out the header and all rows; indices are numbers, as VLMEvalKit compares them."""
    names = [name for name in next(iter(rows.values())).cells if name != "index"]
    header: list[str | int] = ["index", *names, "prediction"]
    return [header] + [
        [index, *(row.cells[name] for name in names), predictions[index]]
        for index, row in rows.items()
    ]


def _checked(text: str, line: int) -> str:
    """Return the text as a cell can hold it: a carriage return would come back as `_x000D_`."""
    if len(text) > _LONGEST_CELL:
        raise SpreadsheetError(
            f"Line {line + 1} of the spreadsheet has a cell of {len(text)} characters, "
            f"{text[:40]!r}...; a cell holds {_LONGEST_CELL}. Score such answers here, or ask "
            "again with a lower max_new_tokens."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SpreadsheetError(
            f"Line {line + 1} of the spreadsheet has a cell that is no text in UTF-8: {error}. "
            "Correct the recorded answer; models do not write such characters."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
