"""One table by its path: what can be known of its benchmark is known, and said."""

from pathlib import Path

import pytest

from infra.errors import BenchmarkKindError
from infra.evaluation.question import ROTATION
from infra.evaluation.single import read_single
from tests.support.tables import choices, presence, write_table


def rotated(path: Path) -> Path:
    """Write a table with one question and its rotation."""
    rows = choices(2)
    rows[1]["index"] = str(ROTATION)
    return write_table(path, rows)


def test_a_benchmark_of_the_catalog_is_what_the_catalog_says(tmp_path: Path) -> None:
    """By the name of its file; there is nothing to note."""
    table = read_single(rotated(tmp_path / "MMBench_DEV_EN_V11.tsv"), "mcq")

    assert (table.benchmark.circular, table.benchmark.cluster) == (True, "group")
    assert not [note for note in table.notes if "circular" in note]


def test_a_folder_may_describe_its_own(tmp_path: Path) -> None:
    """What its list says comes before what the rows look like."""
    (tmp_path / "benchmarks.yaml").write_text("Mine: {kind: mcq, circular: false}")

    assert not read_single(rotated(tmp_path / "Mine.tsv"), "mcq").benchmark.circular


@pytest.mark.parametrize("name", ["My_MMBench_CN", "ccbench", "BLINK_circular"])
def test_a_name_can_say_that_it_is_circular(name: str, tmp_path: Path) -> None:
    """By VLMEvalKit's words; and it is noted."""
    table = read_single(write_table(tmp_path / f"{name}.tsv", choices(2)), "mcq")

    assert (table.benchmark.circular, table.benchmark.cluster) == (True, "group")
    assert "its name says so" in table.notes[-1]


def test_rows_can_say_that_they_are_rotations(tmp_path: Path) -> None:
    """Where a row is there together with what it is a rotation of."""
    table = read_single(rotated(tmp_path / "Turns.tsv"), "mcq")

    assert table.benchmark.circular
    assert "1 rows are rotations" in table.notes[-1]


def test_a_great_index_alone_is_no_rotation(tmp_path: Path) -> None:
    """Some tables number their rows from a million on."""
    rows = choices(2)
    for row in rows:
        row["index"] = str(ROTATION + int(row["index"]))
    table = read_single(write_table(tmp_path / "Far.tsv", rows), "mcq")

    assert (table.benchmark.circular, table.benchmark.cluster) == (False, "image")


@pytest.mark.parametrize("circular", [True, False])
def test_what_is_asked_for_is_done(circular: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Whatever a list or the rows say."""
    for name in ("MMBench_DEV_EN_V11", "ScienceQA_VAL", "Turns"):
        table = read_single(rotated(tmp_path / f"{name}.tsv"), "mcq", circular=circular)
        assert circular == table.benchmark.circular


def test_pictures_are_not_looked_at(tmp_path: Path) -> None:
    """Scoring needs their names alone."""
    table = read_single(write_table(tmp_path / "Pope like.tsv", presence()), "yes_no")

    assert (table.benchmark.name, table.benchmark.kind) == ("Pope-like", "yes_no")
    assert (table.images, len(table.questions)) == ({}, 3)


@pytest.mark.parametrize(
    ("stem", "name"),
    [("_a b", "a-b"), ("测试", "table"), ("x" * 200, "x" * 96), ("a.b-c", "a.b-c")],
)
def test_any_file_name_gives_a_name(stem: str, name: str, tmp_path: Path) -> None:
    """Results are labelled with it."""
    assert (
        name
        == read_single(write_table(tmp_path / f"{stem}.tsv", presence()), "yes_no").benchmark.name
    )


def test_a_kind_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """POPE has no open answers, and only options are rotated."""
    path = write_table(tmp_path / "POPE.tsv", presence())

    with pytest.raises(BenchmarkKindError, match="POPE is a benchmark of kind yes_no"):
        read_single(path, "vqa")
    with pytest.raises(BenchmarkKindError, match="--circular is for multiple choice"):
        read_single(path, "yes_no", circular=True)
