"""Benchmarks are found, read to the last picture and counted before a model is asked anything."""

import hashlib
from pathlib import Path

import pytest

from infra.demo.benchmarks import write_benchmarks
from infra.errors import (
    AnswerError,
    MissingTableError,
    TableImageError,
    UnknownBenchmarkError,
    UnknownRulesError,
)
from infra.evaluation.catalog import known
from tasks.evalspecs import TableRef
from tasks.tables import find_benchmarks
from tests.support.examining import NAMES, SIZES, asking
from tests.support.tables import choices, presence, write_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of the four demo benchmarks."""
    path = tmp_path_factory.mktemp("tables")
    write_benchmarks(path, seed=3, sizes=SIZES)
    return path


def test_every_table_is_found_and_counted(folder: Path, tmp_path: Path) -> None:
    """Rows are counted in the file and never assumed; its digest is that of its bytes."""
    found = find_benchmarks.fn(asking(folder), tmp_path)

    lines = [len((folder / f"{name}.tsv").read_text().splitlines()) - 1 for name in NAMES]
    assert tuple(table.benchmark.name for table in found) == NAMES
    assert [table.rows for table in found] == [table.questions for table in found] == lines
    for table in found:
        assert table.benchmark == known()[table.benchmark.name]
        assert table.path == folder / f"{table.benchmark.name}.tsv"
        assert table.sha256 == hashlib.sha256(table.path.read_bytes()).hexdigest()


def test_only_what_is_asked_for_is_read(folder: Path, tmp_path: Path) -> None:
    """In the order in which it was asked for: that is the order of the rows of the result."""
    found = find_benchmarks.fn(asking(folder, names=("POPE", "ScienceQA_VAL")), tmp_path)

    assert [table.benchmark.name for table in found] == ["POPE", "ScienceQA_VAL"]


def test_a_reference_survives_json(folder: Path, tmp_path: Path) -> None:
    """A worker on another machine gets the very table that was found."""
    (table,) = find_benchmarks.fn(asking(folder, names=("POPE",)), tmp_path)

    assert TableRef.model_validate_json(table.model_dump_json()) == table


def test_a_folder_brings_a_benchmark_of_its_own(tmp_path: Path) -> None:
    """A few lines of data beside the table; rows without a picture are counted and told."""
    rows = [*presence(3), {**presence(4)[3], "image": ""}]
    write_table(tmp_path / "Dogs.tsv", rows)
    (tmp_path / "benchmarks.yaml").write_text("Dogs: {kind: yes_no}\n")

    (table,) = find_benchmarks.fn(asking(tmp_path, names=("Dogs",)), tmp_path / "cache")

    assert (table.benchmark.kind, table.rows, table.questions, table.dropped) == ("yes_no", 4, 3, 1)
    assert table.notes == ("1 rows have no image and are not asked.",)


def test_rules_are_known_before_anything_is_read(tmp_path: Path) -> None:
    """A misspelt rule set is told at once, and not after hours of answers."""
    with pytest.raises(UnknownRulesError, match="vlmevalkit-nope"):
        find_benchmarks.fn(asking(tmp_path, rules="vlmevalkit-nope"), tmp_path)


@pytest.mark.parametrize(
    ("name", "error"), [("PAPE", UnknownBenchmarkError), ("POPE", MissingTableError)]
)
def test_a_benchmark_that_is_not_there_is_told(
    tmp_path: Path, name: str, error: type[Exception]
) -> None:
    """By its name: unknown, or known and not in the folder."""
    with pytest.raises(error, match=name):
        find_benchmarks.fn(asking(tmp_path, names=(name,)), tmp_path / "cache")


@pytest.mark.parametrize(
    ("column", "value", "error"),
    [("image", "aGVsbG8g" * 10, TableImageError), ("answer", "E", AnswerError)],
)
def test_a_table_that_cannot_be_used_is_told_with_its_row(
    tmp_path: Path, column: str, value: str, error: type[Exception]
) -> None:
    """Pictures are decoded here, so that a run does not stop in the middle of the night."""
    rows = choices(3)
    rows[2][column] = value
    write_table(tmp_path / "ScienceQA_VAL.tsv", rows)

    with pytest.raises(error, match=r"ScienceQA_VAL\.tsv.*row 3"):
        find_benchmarks.fn(asking(tmp_path, names=("ScienceQA_VAL",)), tmp_path / "cache")
