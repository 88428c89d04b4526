"""One table by its path, of a benchmark that need not be in any list.

For scoring alone a table says enough: only whether its rotations count together has to be found
out, and how it was is noted.
"""

import re
from dataclasses import replace
from pathlib import Path

from infra.errors import BenchmarkKindError
from infra.evaluation.benchmark import Benchmark, Kind
from infra.evaluation.catalog import of_folder
from infra.evaluation.question import Table
from infra.evaluation.table import read_table

_CIRCULAR_NAMES = ("mmbench", "ccbench", "circular")  # VLMEvalKit goes by these
_LONGEST_NAME = 96


def read_single(path: Path, kind: Kind, *, circular: bool | None = None) -> Table:
    """Read a table to score answers to it; its pictures are not looked at.

    Args:
        path: The file.
        kind: What its questions are.
        circular: Whether all rotations of a question must be right; None: as the list says that
            has a benchmark of the file's name; else if the name has one of the words by which
            VLMEvalKit decides, or rows are there together with their rotations.

    Raises:
        BenchmarkKindError: A list says that it is of another kind, or circular was asked of what
            is no multiple choice.
        EvaluationError: As `read_table` and `of_folder` say.
        StorageError: The file cannot be read.
    """
    if circular and kind != "mcq":
        raise BenchmarkKindError(
            f"--circular is for multiple choice, and --kind says {kind}: only options can be "
            "rotated. Leave it out, or give --kind mcq."
        )
    listed = of_folder(path.parent).get(path.stem)
    if listed is not None and listed.kind != kind:
        raise BenchmarkKindError(
            f"{path.stem} is a benchmark of kind {listed.kind}, and --kind says {kind}. Give "
            f"--kind {listed.kind}, or another name to a table that is none of that benchmark."
        )
    table = read_table(path, listed or Benchmark(name=_name(path), kind=kind), images=False)
    if circular is None:
        return table if listed is not None or kind != "mcq" else _guess_circular(table)
    return _as(table, circular=circular)


def _name(path: Path) -> str:
    """Return a name that a benchmark may have, as near to the file's as can be."""
    return re.sub(r"^[^A-Za-z0-9]+|[^\w.-]+", "-", path.stem).strip("-")[:_LONGEST_NAME] or "table"


def _guess_circular(table: Table) -> Table:
    name = table.benchmark.name.lower()
    indices = {question.index for question in table.questions}
    rotated = sum(q.index != q.group and q.group in indices for q in table.questions)
    if rotated:
        why = f"{rotated} rows are rotations of others by their index"
    elif any(word in name for word in _CIRCULAR_NAMES):
        why = "its name says so"
    else:
        return table
    note = f"Counted as circular, because {why} (--no-circular: count single rows)."
    return replace(_as(table, circular=True), notes=(*table.notes, note))


def _as(table: Table, *, circular: bool) -> Table:
    update = {"circular": circular} | ({"cluster": "group"} if circular else {})
    return replace(table, benchmark=table.benchmark.model_copy(update=update))
