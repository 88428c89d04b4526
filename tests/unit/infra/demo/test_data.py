"""The generator: same seed, same bytes, and the layouts that loaders and evaluators expect."""

import ast
import base64
import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from infra.demo import MODEL_DIR
from infra.demo.benchmarks import ROTATION_STEP, BenchmarkSizes, write_benchmarks
from infra.demo.datasets import write_conversation_set, write_mixed_text_set, write_text_set
from infra.demo.generate import generate
from infra.demo.prompts import LETTERS
from infra.demo.tokenizer import load_tokenizer
from infra.demo.world import SIDE

_SIZES = BenchmarkSizes(circular_groups=6, science=8, reading=8, presence=10)
_CHOICE_COLUMNS = [
    "index", "image", "question", "hint", "A", "B", "C", "D", "answer", "category",
    "l2-category", "split",
]  # fmt: skip


def _rows(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(1 << 24)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _files(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """Return the rows of all four tables."""
    folder = tmp_path_factory.mktemp("benchmarks")
    paths = write_benchmarks(folder, seed=3, sizes=_SIZES)
    return {name: _rows(path) for name, path in paths.items()}


def test_same_seed_gives_same_bytes_and_another_seed_other_bytes(tmp_path: Path) -> None:
    """Every byte of every file follows from the seed."""
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        generate(tmp_path / name, seed=seed, texts=3, conversations=3)
    one, two, three = (_files(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert one.keys() == three.keys()
    assert all(one[name] != three[name] for name in one)


def test_a_longer_set_begins_with_the_shorter_one(tmp_path: Path) -> None:
    """The size of a set does not change its first documents."""
    short = write_text_set(tmp_path / "short.jsonl", count=2, seed=1).read_text()
    assert write_text_set(tmp_path / "long.jsonl", count=4, seed=1).read_text().startswith(short)


def test_text_set_has_one_column(tmp_path: Path) -> None:
    """Each line is an object with a text."""
    lines = write_text_set(tmp_path / "text.jsonl", count=4, seed=1).read_text().splitlines()
    assert [list(json.loads(line)) for line in lines] == [["text"]] * 4


def test_a_mixed_set_holds_stories_and_transcripts_in_turn(tmp_path: Path) -> None:
    """The stories are those of the plain set, so that what differs between the two is known."""
    mixed = write_mixed_text_set(tmp_path / "mixed.jsonl", count=5, seed=1).read_text().splitlines()
    plain = write_text_set(tmp_path / "plain.jsonl", count=3, seed=1).read_text().splitlines()

    assert mixed[::2] == plain
    for line in mixed[1::2]:
        text = json.loads(line)["text"]
        assert text.startswith("The picture shows a ")
        assert text.count("\nA: ") == text.count("Q: ") >= 18


def test_every_document_is_long_enough_for_the_demo(tmp_path: Path) -> None:
    """Shorter ones would be skipped, and a set be smaller than it looks."""
    path = write_mixed_text_set(tmp_path / "mixed.jsonl", count=40, seed=4)
    tokenizer = load_tokenizer(MODEL_DIR)

    lines = path.read_text().splitlines()

    assert min(len(tokenizer.encode(json.loads(line)["text"]).ids) for line in lines) >= 300


def test_conversations_are_in_llava_form(tmp_path: Path) -> None:
    """Messages alternate, the first begins with the image, and the image is there."""
    records = json.loads(write_conversation_set(tmp_path, count=5, seed=2).read_text())
    assert len({record["id"] for record in records}) == 5
    for record in records:
        turns = record["conversations"]
        assert [turn["from"] for turn in turns] == ["human", "gpt"] * (len(turns) // 2)
        assert 6 <= len(turns) <= 10
        assert turns[0]["value"].startswith("<image>\n")
        assert sum("<image>" in turn["value"] for turn in turns) == 1
        with Image.open(tmp_path / record["image"]) as image:
            assert image.size == (SIDE, SIDE)


def test_tables_have_the_columns_of_the_evaluator(
    tables: dict[str, list[dict[str, str]]],
) -> None:
    """Columns, splits and sizes are as asked."""
    assert list(tables["MMBench_DEV_EN_V11"][0]) == _CHOICE_COLUMNS
    assert list(tables["ScienceQA_VAL"][0]) == _CHOICE_COLUMNS
    assert list(tables["TextVQA_VAL"][0]) == ["index", "image", "question", "answer"]
    assert list(tables["POPE"][0]) == ["index", "image", "question", "answer", "category"]
    assert {row["split"] for row in tables["MMBench_DEV_EN_V11"]} == {"dev"}
    assert {row["split"] for row in tables["ScienceQA_VAL"]} == {"val"}
    lengths = [len(tables[name]) for name in ("ScienceQA_VAL", "TextVQA_VAL", "POPE")]
    assert lengths == [_SIZES.science, _SIZES.reading, _SIZES.presence]


def test_images_are_pictures_or_name_the_row_that_has_one(
    tables: dict[str, list[dict[str, str]]],
) -> None:
    """A short image text is the index of another row; a long one is base64."""
    for rows in tables.values():
        by_index = {row["index"]: row for row in rows}
        assert len(by_index) == len(rows)
        for row in rows:
            image = row["image"]
            if len(image) <= 64:
                image = by_index[image]["image"]
            assert Image.open(io.BytesIO(base64.b64decode(image))).size == (SIDE, SIDE)


def test_rotations_move_options_and_answer_together(
    tables: dict[str, list[dict[str, str]]],
) -> None:
    """A question with n options has n rows, whose true option has always the same text."""
    groups: dict[int, list[dict[str, str]]] = {}
    for row in tables["MMBench_DEV_EN_V11"]:
        groups.setdefault(int(row["index"]) % ROTATION_STEP, []).append(row)
    assert len(groups) == _SIZES.circular_groups
    for rows in groups.values():
        options = [[row[letter] for letter in "ABCD" if row[letter]] for row in rows]
        assert len(rows) == len(options[0])
        assert len({tuple(each) for each in options}) == len(rows)
        assert len({frozenset(each) for each in options}) == 1
        assert len({row[row["answer"]] for row in rows}) == 1
        assert {row["answer"] for row in rows} == set(LETTERS[: len(rows)])


def test_answers_are_in_each_benchmarks_form(tables: dict[str, list[dict[str, str]]]) -> None:
    """Science has a hint and a letter, reading a list of ten, presence yes or no."""
    for row in tables["ScienceQA_VAL"]:
        assert row["hint"]
        assert row[row["answer"]]
    for row in tables["TextVQA_VAL"]:
        answers = ast.literal_eval(row["answer"])
        assert len(answers) == 10
        assert len(set(answers)) == 1
    for row in tables["POPE"]:
        assert row["answer"] in {"Yes", "No"}
        assert set(row["category"].split(",")) <= {"adversarial", "popular", "random"}
