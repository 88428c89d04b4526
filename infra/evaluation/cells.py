"""What single cells of a benchmark's table mean: an index, an image, a right answer."""

import ast
import hashlib
import re
import warnings
from collections.abc import Mapping
from typing import TypeAlias

from infra.errors import AnswerError, ImageReferenceError, RowIndexError
from infra.evaluation.benchmark import Kind
from infra.evaluation.tsv import OPTIONS, TsvRow

ImageCell: TypeAlias = "str | int | None"
"""Name of a picture; index of the row that has it; None: no image."""

_LONGEST_REFERENCE = 64  # characters; longer cells are pictures
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*", re.ASCII)


def index_of(row: TsvRow) -> int:
    """Return the row's index.

    Raises:
        RowIndexError: It is no whole number.
    """
    text = row.cells["index"]
    if not _INTEGER.fullmatch(text):
        raise RowIndexError(
            f"{row.place}: the index is no whole number. Write one that no other row has, as in "
            "17, without a point; tables with names for indices cannot be read."
        )
    return int(text)


def image_cell(row: TsvRow) -> ImageCell:
    """Return what the row's image is: a picture's name, another row's index, or nothing.

    A picture is named by the SHA-256 of its base64 text, the first 16 digits.

    Raises:
        ImageReferenceError: It is too short for a picture, and no index.
    """
    text = row.cells["image"]
    if not text.strip():
        return None
    if len(text) > _LONGEST_REFERENCE:
        return hashlib.sha256(text.encode()).hexdigest()[:16]
    if not _INTEGER.fullmatch(text):
        raise ImageReferenceError(
            f"{row.place}: the image is {text!r}. Cells of {_LONGEST_REFERENCE} characters or "
            "fewer are indices of rows that have the same image, and no row has this one. Write "
            "such an index or a picture in base64, or leave the cell empty to leave the row out."
        )
    return int(text)


def image_name(row: TsvRow, index: int, images: Mapping[int, ImageCell]) -> str | None:
    """Follow references to the name of the row's picture.  None: it has none.

    Args:
        row: The row, for messages.
        index: Its index.
        images: What the images of all rows are, by index.

    Raises:
        ImageReferenceError: A reference leads to no row, to one without image, or in a circle.
    """
    cell, passed = images[index], [index]
    while isinstance(cell, int):
        wrong = None
        if cell in passed:
            wrong = "which leads back to itself"
        elif cell not in images:
            wrong = "and no row has that index"
        elif images[cell] is None:
            wrong = "which has no image"
        if wrong:
            way = " -> ".join(map(str, [*passed, cell]))
            raise ImageReferenceError(
                f"{row.place}: the image is that of row {cell}, {wrong} ({way}). Write the index "
                "of a row that has a picture in base64, or the picture itself."
            )
        passed.append(cell)
        cell = images[cell]
    return cell


def options_of(row: TsvRow) -> tuple[tuple[str, str], ...]:
    """Return letters and texts of the options that are offered: all cells that are not empty."""
    return tuple((letter, row.cells[letter]) for letter in OPTIONS if row.cells.get(letter))


def check_answer(row: TsvRow, kind: Kind, options: tuple[tuple[str, str], ...]) -> None:
    """Refuse a right answer that nobody can give.

    Raises:
        AnswerError: It is no letter of ``options``, or, asked for yes or no, neither of both.
    """
    answer = row.cells["answer"]
    letters = [letter for letter, _ in options]
    if kind == "mcq" and answer not in letters:
        raise AnswerError(
            f"{row.place}: the answer is {answer!r}, and the options are "
            f"{', '.join(letters) or 'none'}. It must be the letter of an option whose cell is not "
            "empty: correct the answer or fill in the option."
        )
    if kind == "yes_no" and answer not in ("Yes", "No"):
        raise AnswerError(
            f"{row.place}: the answer is {answer!r}. In a table of kind yes_no it must be Yes or "
            "No, written so: correct it, or say the kind that the table is."
        )


def annotators(cell: str) -> tuple[str, ...]:
    """Return the answers of all annotators: the cell is a list, as Python writes it.

    Anything else gives none; VLMEvalKit's rule makes that score nothing, whatever is answered.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown escapes, which are kept as they are
            value = ast.literal_eval(cell)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return ()
    return tuple(map(str, value)) if isinstance(value, list) else ()
