"""`roundhouse score`: recorded answers in, every row and number out."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from infra.evaluation.question import ROTATION
from tests.cli.conftest import Roundhouse
from tests.support.tables import Row, choices, presence, reading, write_table


@pytest.fixture
def environment() -> dict[str, str]:
    """Return an environment without a Prefect server: scoring has no use for one."""
    return {**os.environ, "COLUMNS": "120"}


def write_predictions(path: Path, predictions: Mapping[int, str]) -> Path:
    """Write predictions, one a line."""
    lines = (
        json.dumps({"index": index, "prediction": said}) for index, said in predictions.items()
    )
    path.write_text("\n".join(lines))
    return path


def rotated() -> list[Row]:
    """Return two questions, the first of them with a rotation."""
    rows = choices(3)
    rows[2] |= {"index": str(ROTATION), "answer": "A"}
    return rows


@pytest.mark.parametrize(
    ("kind", "rows", "said", "overall"),
    [
        ("mcq", choices(), {0: "B", 1: "a dog.", 2: "A"}, 200 / 3),
        ("yes_no", presence(), {0: "Yes", 1: "no", 2: "No"}, 200 / 3),
        ("vqa", reading(), {0: "STOP", 1: "halt", 2: "its"}, 130 / 3),
    ],
)
def test_every_kind_is_scored(
    kind: str, rows: list[Row], said: dict[int, str], overall: float,
    roundhouse: Roundhouse, tmp_path: Path,
) -> None:  # fmt: skip
    """A table for people, and one JSON object with all of it for programs."""
    done = roundhouse(
        "score", "--kind", kind, "--benchmark", write_table(tmp_path / "Mine.tsv", rows),
        "--predictions", write_predictions(tmp_path / "said.jsonl", said),
        "--json", "out/scores.json",
    )  # fmt: skip
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())

    assert done.code == 0, done.err
    assert f"{overall:.2f}" in done.out
    assert "vlmevalkit-7de2dcb" in done.out
    assert scores["report"]["Overall"] == pytest.approx(overall)
    assert [row["prediction"] for row in scores["rows"]] == list(said.values())
    assert (scores["benchmark"], scores["kind"], scores["circular"]) == ("Mine", kind, False)


def test_detection_is_told_in_every_category(roundhouse: Roundhouse, tmp_path: Path) -> None:
    """F1, accuracy, precision and recall, for people and for programs."""
    done = roundhouse(
        "score", "--kind", "yes_no", "--benchmark", write_table(tmp_path / "POPE.tsv", presence()),
        "--predictions", write_predictions(tmp_path / "said.jsonl", {0: "Yes", 1: "Yes", 2: "?"}),
        "--json", "scores.json",
    )  # fmt: skip
    detection = json.loads((tmp_path / "scores.json").read_text())["report"]["detection"]

    expected = {"f1": 50, "acc": pytest.approx(100 / 3), "precision": 50, "recall": 50}
    assert detection == dict.fromkeys(("Overall", "adversarial", "popular"), expected)
    assert "adversarial" in done.out
    assert "33.33" in done.out


def test_rotations_count_together_unless_told_otherwise(
    roundhouse: Roundhouse, tmp_path: Path
) -> None:
    """Where they are in the table; a note says so, and groups have their scores."""
    table = write_table(tmp_path / "Turns.tsv", rotated())
    said = write_predictions(tmp_path / "said.jsonl", {0: "B", 1: "B", ROTATION: "B"})
    files = ("--benchmark", table, "--predictions", said, "--json", "scores.json")

    together = roundhouse("score", "--kind", "mcq", *files)
    scores = json.loads((tmp_path / "scores.json").read_text())
    alone = roundhouse("score", "--kind", "mcq", *files, "--no-circular")
    apart = json.loads((tmp_path / "scores.json").read_text())

    assert (together.code, alone.code) == (0, 0)
    assert scores["groups"] == [{"group": 0, "score": 0}, {"group": 1, "score": 1}]
    assert (scores["report"]["Overall"], scores["circular"]) == (50, True)
    assert "1 rows are rotations" in together.out
    assert (apart["groups"], apart["circular"]) == ([], False)
    assert apart["report"]["Overall"] == pytest.approx(200 / 3)


def test_other_rules_are_named(roundhouse: Roundhouse, tmp_path: Path) -> None:
    """The same answers by the later rules are worth something else."""
    table = write_table(tmp_path / "Mine.tsv", choices(1))
    said = write_predictions(tmp_path / "said.jsonl", {0: "B: as can be seen in it"})
    files = ("--benchmark", table, "--predictions", said)

    before, later = (
        roundhouse("score", "--kind", "mcq", *files, "--rules", rules)
        for rules in ("vlmevalkit-7de2dcb", "vlmevalkit-e8e78f05")
    )
    assert "Unreadable 0.00" in before.out
    assert "Unreadable 100.00" in later.out
    assert "rules vlmevalkit-e8e78f05" in later.out


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"--rules": "vlmevalkit"}, 2, "vlmevalkit-7de2dcb, vlmevalkit-e8e78f05"),
        ({"--kind": "essay"}, 2, "essay"),
        ({"--kind": "vqa"}, 2, "POPE is a benchmark of kind yes_no"),
        ({"--benchmark": "nowhere.tsv"}, 5, "nowhere.tsv"),
        ({"--predictions": "nowhere.jsonl"}, 5, "nowhere.jsonl"),
        ({"--predictions": "bad.jsonl"}, 3, "no JSON in line 2"),
        ({"--predictions": "twice.jsonl"}, 3, "second prediction in line 2"),
        ({"--predictions": "short.jsonl"}, 3, "2 of the 3 rows of POPE have no prediction"),
        ({"--predictions": "foreign.jsonl"}, 3, "1 predictions are of rows that POPE does not"),
    ],
)
def test_mistakes_leave_no_scores(
    change: dict[str, str], code: int, words: str, roundhouse: Roundhouse, tmp_path: Path
) -> None:
    """One paragraph that names the place, an exit code, and no file."""
    write_table(tmp_path / "POPE.tsv", presence())
    write_predictions(tmp_path / "said.jsonl", dict.fromkeys(range(3), "Yes"))
    write_predictions(tmp_path / "short.jsonl", {0: "Yes"})
    write_predictions(tmp_path / "foreign.jsonl", dict.fromkeys(range(4), "Yes"))
    line = '{"index": 0, "prediction": "Yes"}\n'
    (tmp_path / "bad.jsonl").write_text(f"{line}Yes\n")
    (tmp_path / "twice.jsonl").write_text(line * 2)
    flags = {"--kind": "yes_no", "--benchmark": "POPE.tsv", "--predictions": "said.jsonl"} | change
    words_given = [word for flag in flags.items() for word in flag]
    done = roundhouse("score", *words_given, "--json", "scores.json")

    assert (done.code, done.out) == (code, "")
    assert words in " ".join(done.err.replace("│", " ").split())
    assert "Traceback" not in done.err
    assert not (tmp_path / "scores.json").exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda rows: [without(row, "answer") for row in rows], "has no column 'answer'"),
        (lambda rows: [*rows, rows[0]], "row 4 (index '0'): row 1 has the same index"),
        (
            lambda rows: [*rows[:2], rows[2] | {"image": "77"}],
            "row 3 (index '2'): the image is that of row 77, and no row has that index",
        ),
        (
            lambda rows: [rows[0] | {"answer": "C"}, *rows[1:]],
            "row 1 (index '0'): the answer is 'C', and the options are A, B.",
        ),
        (lambda rows: [row | {"image": ""} for row in rows], "3 rows and none has an image"),
    ],
    ids=["column", "twice", "reference", "answer", "empty"],
)
def test_a_table_that_cannot_be_used_is_told_with_its_row(
    spoil: Callable[[list[Row]], list[Row]], words: str, roundhouse: Roundhouse, tmp_path: Path
) -> None:
    """The file, the row, what is wrong and what to do: one paragraph."""
    done = roundhouse(
        "score", "--kind", "mcq", "--benchmark", write_table(tmp_path / "T.tsv", spoil(choices())),
        "--predictions", write_predictions(tmp_path / "said.jsonl", dict.fromkeys(range(3), "B")),
        "--json", "scores.json",
    )  # fmt: skip

    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"Error: {tmp_path / 'T.tsv'}")
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "scores.json").exists()


def test_options_are_what_their_author_wrote(roundhouse: Roundhouse, tmp_path: Path) -> None:
    """None, NA and 5 can be the right answer, and a note says what VLMEvalKit makes of them."""
    rows = [row | {"B": option} for row, option in zip(choices(), ("None", "NA", "5"), strict=True)]
    done = roundhouse(
        "score", "--kind", "mcq", "--benchmark", write_table(tmp_path / "T.tsv", rows),
        "--predictions",
        write_predictions(tmp_path / "said.jsonl", {0: "None", 1: "NA", 2: "5"}),
        "--json", "scores.json",
    )  # fmt: skip
    scores = json.loads((tmp_path / "scores.json").read_text())

    assert done.code == 0, done.err
    assert [row["extracted"] for row in scores["rows"]] == ["B", "B", "B"]
    assert scores["report"]["Overall"] == 100
    assert "2 rows have options or hints such as None, NA or N/A" in done.out


def without(row: Row, column: str) -> Row:
    """Leave a column out."""
    return {name: cell for name, cell in row.items() if name != column}


def test_neither_torch_nor_prefect_is_loaded(command: list[str], tmp_path: Path) -> None:
    """Scoring takes a second, not ten."""
    table = write_table(tmp_path / "Mine.tsv", presence())
    said = write_predictions(tmp_path / "said.jsonl", dict.fromkeys(range(3), "Yes"))
    program = (
        "import sys; from flows.cli import scoring; from pathlib import Path; "
        f"scoring.run(scoring.Asked('yes_no', Path({str(table)!r}), Path({str(said)!r}), "
        "'vlmevalkit-7de2dcb', None, None)); "
        "loaded = {'torch', 'transformers', 'prefect', 'datasets'} & sys.modules.keys(); "
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    done = subprocess.run([*command[:2], program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
