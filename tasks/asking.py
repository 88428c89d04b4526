"""From a benchmark's table to what a model is asked: the same for every model."""

from collections.abc import Sequence
from dataclasses import replace

from infra.evaluation.engine import Generation, Request
from infra.evaluation.images import as_asked
from infra.evaluation.prompts import prompt
from infra.evaluation.question import Question, Table
from infra.evaluation.table import read_table
from tasks.evalspecs import BenchmarksSpec, TableRef


def open_table(ref: TableRef, *, images: bool, limit: int | None) -> Table:
    """Read a table again, cut to its first ``limit`` questions.

    Raises:
        TableError: It cannot be used as it is.
    """
    table = read_table(ref.path, ref.benchmark, images=images)
    return table if limit is None else cut(table, limit)


def cut(table: Table, limit: int) -> Table:
    """Keep the first ``limit`` questions, each with all its rotations where they count together."""
    if not table.benchmark.circular:
        return replace(table, questions=table.questions[:limit])
    groups = list(dict.fromkeys(question.group for question in table.questions))
    kept = set(groups[:limit])
    return replace(table, questions=tuple(q for q in table.questions if q.group in kept))


def requests(
    table: Table, questions: Sequence[Question], asked: BenchmarksSpec
) -> tuple[Request, ...]:
    """Return what an engine is handed, in the order of the questions.

    Equal pictures are one object, so that engines and keys see that they are equal.

    Raises:
        TableImageError: A picture cannot be read.
    """
    names = dict.fromkeys(question.image for question in questions)
    images = {name: as_asked(table.images[name], asked.image_path) for name in names}
    kind = table.benchmark.kind
    return tuple(Request(q.index, images[q.image], prompt(q, kind)) for q in questions)


def generation(table: Table, asked: BenchmarksSpec) -> Generation:
    """Return how the answers to a table are generated."""
    benchmark = table.benchmark
    return Generation(
        max_new_tokens=asked.max_new_tokens,
        min_pixels=benchmark.min_pixels,
        max_pixels=benchmark.max_pixels,
        batch_size=asked.batch_size,
    )
