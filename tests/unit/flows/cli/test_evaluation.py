"""Flags of `roundhouse evaluate` become a request, and their errors name flags."""

from pathlib import Path
from typing import Any

import pytest

from flows.cli.evaluation import Asked, HeldOut, request, titles
from flows.errors import RecipeError
from infra.errors import UnknownBenchmarkError, UnknownRulesError
from tests.support.tables import presence, write_table

ANSWERING = {
    "rules": "vlmevalkit-7de2dcb", "limit": None, "engine": "transformers",
    "mode": "shared_prefix", "loader": "own", "image_path": "vlmevalkit", "max_new_tokens": 64,
    "batch_size": 32, "shards": 1, "parallel": 2,
}  # fmt: skip


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Return a folder with two tables: one that is known by its name, and one that is not."""
    folder = tmp_path / "tables"
    write_table(folder / "POPE.tsv", presence())
    write_table(folder / "Mine.tsv", presence())
    return folder


def asked(tables: Path | str, answering: dict[str, Any] | None = None, **changes: Any) -> Asked:
    """Return what a sound command line says, with changes."""
    sound = Asked(
        checkpoints=("out/auto_round",),
        baseline=None,
        benchmarks=str(tables),
        tasks=None,
        held_out=HeldOut(None, 32, 2048),
        answering=ANSWERING | (answering or {}),
        compute={"device": "cpu", "dtype": "auto", "threads": None},
        json=None,
        spreadsheets=None,
    )
    return sound._replace(**changes)


def test_the_tables_that_are_there_and_known_are_asked(tables: Path, tmp_path: Path) -> None:
    """Nothing is guessed about a table of another name."""
    wanted = request(asked(tables), tmp_path)

    assert (wanted.asked.names, wanted.asked.source) == (("POPE",), str(tables))
    assert (wanted.baseline, wanted.text) == (None, None)
    assert [each.name for each in wanted.checkpoints] == ["auto_round"]


def test_a_folder_may_bring_benchmarks_of_its_own(tables: Path, tmp_path: Path) -> None:
    """A few lines of data."""
    (tables / "benchmarks.yaml").write_text("Mine: {kind: yes_no}\n")

    assert request(asked(tables), tmp_path).asked.names == ("POPE", "Mine")
    assert request(asked(tables, tasks="Mine"), tmp_path).asked.names == ("Mine",)


def test_tasks_are_named_with_commas(tables: Path, tmp_path: Path) -> None:
    """In the order in which the table shows them; spaces do no harm."""
    wanted = request(asked(tables, tasks=" TextVQA_VAL , POPE,"), tmp_path)

    assert wanted.asked.names == ("TextVQA_VAL", "POPE")


def test_held_out_text_is_read_like_a_recipe_reads_it(tables: Path, tmp_path: Path) -> None:
    """Its rows tell its kind."""
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "words"}\n')
    text = request(asked(tables, held_out=HeldOut(str(path), 3, 64)), tmp_path).text

    assert text is not None
    assert (text.kind, text.nsamples, text.seqlen) == ("text", 3, 64)


@pytest.mark.parametrize(
    ("checkpoints", "expected"),
    [
        (("out/auto_round",), ("auto_round",)),
        (("out/auto_round", "out/auto_gptq"), ("auto_round", "auto_gptq")),
        (("out/a/auto_round", "out/b/auto_round"), ("a/auto_round", "b/auto_round")),
        (("owner/name", "else/name"), ("owner/name", "else/name")),
        (("models/16bits",), ("models/16bits",)),
        (("models/task",), ("models/task",)),
    ],
)
def test_a_column_has_the_shortest_name_that_tells_checkpoints_apart(
    checkpoints: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    """Never that of another column."""
    assert titles(checkpoints) == expected


@pytest.mark.parametrize("again", ["out/a", "out/a/", "./out/a"])
def test_a_checkpoint_that_is_named_twice_is_refused(again: str) -> None:
    """However it is written."""
    with pytest.raises(RecipeError, match="are not different ones"):
        titles(("out/a", again))


def test_a_checkpoint_that_is_named_twice_is_recognised_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once from here, and once from the root."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match="are not different ones"):
        titles(("out", str(tmp_path / "out")))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"answering": {"limit": 0}}, "--limit: Input should be greater than or equal to 1"),
        ({"answering": {"max_new_tokens": 0}}, "--max-new-tokens: Input should be greater"),
        ({"tasks": " ,"}, "--tasks: Tuple should have at least 1 item"),
        ({"benchmarks": "nowhere"}, "nowhere holds no table of a known benchmark .*--tasks"),
        (
            {"answering": {"limit": 3}, "spreadsheets": Path("x")},
            "--spreadsheets needs the answers to all rows.*Leave --limit 3 out",
        ),
    ],
)
def test_errors_name_the_flag(
    changes: dict[str, Any], words: str, tables: Path, tmp_path: Path
) -> None:
    """A field of a recipe would mean nothing to whoever typed flags."""
    with pytest.raises(RecipeError, match=words):
        request(asked(tables, **changes), tmp_path)


def test_misspelled_names_are_told_before_anything_starts(tables: Path, tmp_path: Path) -> None:
    """With those that there are."""
    with pytest.raises(UnknownBenchmarkError, match=r"'POPPE' is not .*MMBench_DEV_EN_V11.*POPE"):
        request(asked(tables, tasks="POPPE"), tmp_path)
    with pytest.raises(UnknownRulesError, match="vlmevalkit-7de2dcb"):
        request(asked(tables, {"rules": "vlmevalkit"}), tmp_path)
