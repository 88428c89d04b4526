"""Read a benchmark's table: every row checked and counted, nothing guessed.

Tables are VLMEvalKit's: tab-separated text with a picture in base64 in the row, or the index of
another row that has the same one.  How many rows there are is counted and never assumed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from infra.errors import DuplicateRowError, EmptyTableError
from infra.evaluation.benchmark import Benchmark, Kind
from infra.evaluation.cells import (
    ImageCell,
    annotators,
    check_answer,
    image_cell,
    image_name,
    index_of,
    options_of,
)
from infra.evaluation.images import decode
from infra.evaluation.question import Question, Table
from infra.evaluation.tsv import OPTIONS, TsvRow, altered, read_tsv
from infra.files import explaining, sha256_of


@dataclass(slots=True)
class _Rows:
    """A table's rows by index, without the bulk of their images."""

    rows: dict[int, TsvRow] = field(default_factory=dict)
    images: dict[int, ImageCell] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)


def read_table(path: Path, benchmark: Benchmark, *, images: bool = True) -> Table:
    """Read and check the table of a benchmark.

    Args:
        path: A TSV file in VLMEvalKit's columns.
        benchmark: What it is.
        images: Decode pictures, and check that each is whole; False, for scoring: name them only.

    Raises:
        StorageError: The file cannot be read.
        TableFormatError: It is no tab-separated text in UTF-8, or rows have too many cells.
        TableColumnError: A column is missing.
        EmptyTableError: It has no rows, or none with an image.
        RowIndexError: An index is no whole number.
        DuplicateRowError: Several rows have one index.
        TableImageError: An image is no base64, or no whole picture.
        ImageReferenceError: An image refers to a row that has none.
        AnswerError: A right answer is not one that can be given.
    """
    found = _collect(path, benchmark, images=images)
    with explaining(path, "reading"):
        sha256 = sha256_of(path)
    questions = tuple(
        _question(row, index, name, benchmark)
        for index, row in found.rows.items()
        if (name := image_name(row, index, found.images)) is not None
    )
    if not questions:
        raise EmptyTableError(
            f"{path} has {len(found.rows)} rows{' and none has an image' if found.rows else ''}, "
            "so there is nothing to ask. Check that it was written or downloaded to its end."
        )
    return Table(
        benchmark=benchmark,
        questions=questions,
        images=found.pictures,
        sha256=sha256,
        rows=len(found.rows),
        dropped=len(found.rows) - len(questions),
        notes=tuple(_notes(found, questions, benchmark.kind)),
    )


def _collect(path: Path, benchmark: Benchmark, *, images: bool) -> _Rows:
    found = _Rows()
    for row in read_tsv(path, benchmark.kind):
        index = index_of(row)
        if index in found.rows:
            raise DuplicateRowError(
                f"{row.place}: row {found.rows[index].number} has the same index. Answers are kept "
                "by index, so that each row needs its own: number the rows anew, or remove the "
                "one that is there twice."
            )
        image = image_cell(row)
        if images and isinstance(image, str) and image not in found.pictures:
            found.pictures[image] = decode(row.cells["image"], row.place)
        found.rows[index] = row.without_image()
        found.images[index] = image
    return found


def _question(row: TsvRow, index: int, image: str, benchmark: Benchmark) -> Question:
    kind, cells = benchmark.kind, row.cells
    options = options_of(row) if kind == "mcq" else ()
    check_answer(row, kind, options)
    category = cells.get("category", "")
    categories = category.split(",") if kind == "yes_no" else [category]
    return Question(
        index=index,
        text=cells["question"],
        hint=cells.get("hint") or None,
        options=options,
        answer=cells["answer"],
        answers=annotators(cells["answer"]) if kind == "vqa" else (),
        categories=tuple(categories) if category else (),
        l2_category=cells.get("l2-category") or None,
        split=cells.get("split") or None,
        image=image,
    )


def _notes(found: _Rows, questions: tuple[Question, ...], kind: Kind) -> Iterator[str]:
    """Say what a person should know who compares numbers from this table with others'."""
    if len(questions) < len(found.rows):
        yield f"{len(found.rows) - len(questions)} rows have no image and are not asked."
    if kind == "mcq":
        yield from _guessed(found.rows.values())
    silent = sum(not question.answers for question in questions)
    if kind == "vqa" and silent:
        yield f"{silent} rows have an answer that is no list: they score 0 whatever is answered."


def _guessed(rows: Iterable[TsvRow]) -> Iterator[str]:
    """Say how many rows VLMEvalKit would ask otherwise, because it guesses types."""
    shown = ("hint", *OPTIONS)
    lost, changed = altered(
        [{name: row.cells[name] for name in shown if name in row.cells} for row in rows]
    )
    if lost:
        yield (
            f"{lost} rows have options or hints such as None, NA or N/A. They are shown as "
            "written; VLMEvalKit takes them for missing and leaves them out of the prompt."
        )
    if changed:
        yield (
            f"{changed} rows have options or hints that VLMEvalKit shows otherwise, as in 5.0 for "
            "5. They are shown as written."
        )
