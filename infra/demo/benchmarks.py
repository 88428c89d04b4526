"""Four benchmark tables in VLMEvalKit's columns, about pictures of the toy world."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.demo import prompts
from infra.demo.choices import Choice, about_picture, about_science, rotate
from infra.demo.draw import to_base64
from infra.demo.questions import absent_name, presence_question, reading_question
from infra.demo.seeds import stream
from infra.demo.world import Scene, draw_scene
from infra.files import write_atomically

ROTATION_STEP = 10**6
"""What the index of a rotated question is raised by for each place it was rotated."""

_CHOICE_COLUMNS = (
    "index", "image", "question", "hint", "A", "B", "C", "D", "answer", "category",
    "l2-category", "split",
)  # fmt: skip
_POPE_COLUMNS = ("index", "image", "question", "answer", "category")
_READING_COLUMNS = ("index", "image", "question", "answer")
_ANNOTATORS = 10
_MOST_OPTIONS = 4

Row = dict[str, str]


@dataclass(frozen=True)
class BenchmarkSizes:
    """Numbers of questions; the circular table has a row for each option of each question."""

    circular_groups: int = 60
    science: int = 150
    reading: int = 150
    presence: int = 240


def _choice_row(choice: Choice, index: int, image: str, split: str) -> Row:
    """Lay out one multiple-choice question; missing options are empty."""
    empty = [""] * (_MOST_OPTIONS - len(choice.options))
    options = zip(prompts.LETTERS, [*choice.options, *empty], strict=False)
    return {
        "index": str(index),
        "image": image,
        "question": choice.question,
        "hint": choice.hint,
        **dict(options),
        "answer": choice.letter,
        "category": choice.category,
        "l2-category": choice.group,
        "split": split,
    }


def circular_rows(seed: int, groups: int) -> list[Row]:
    """Make the rows of the circular multiple-choice benchmark.

    A question with n options has n rows. The first carries the picture, and the others name the
    first by its index, as VLMEvalKit's tables do.

    Args:
        seed: Seed of the benchmarks.
        groups: Number of questions.

    Returns:
        All first rows, then all rows rotated once, and so on.
    """
    rng = stream(seed, "benchmark/circular")
    rows: list[Row] = []
    for base in range(groups):
        scene = draw_scene(rng)
        choice = about_picture(scene, rng)
        for turn in range(len(choice.options)):
            image = str(base) if turn else to_base64(scene)
            index = base + turn * ROTATION_STEP
            rows.append(_choice_row(rotate(choice, turn), index, image, "dev"))
    return sorted(rows, key=lambda row: int(row["index"]))


def science_rows(seed: int, count: int) -> list[Row]:
    """Make the rows of the science benchmark: two to four options and a hint.

    Args:
        seed: Seed of the benchmarks.
        count: Number of questions.

    Returns:
        The rows.
    """
    rng = stream(seed, "benchmark/science")
    scenes = [draw_scene(rng, things=1) for _ in range(count)]
    return [
        _choice_row(about_science(scene, rng), index, to_base64(scene), "val")
        for index, scene in enumerate(scenes)
    ]


def reading_rows(seed: int, count: int) -> list[Row]:
    """Make the rows of the reading benchmark; the answer is a list of ten equal answers.

    Args:
        seed: Seed of the benchmarks.
        count: Number of questions.

    Returns:
        The rows.
    """
    rng = stream(seed, "benchmark/reading")
    scenes = [draw_scene(rng) for _ in range(count)]
    return [
        {
            "index": str(index),
            "image": to_base64(scene),
            "question": reading_question(scene, rng).question,
            "answer": repr([scene.text] * _ANNOTATORS),
        }
        for index, scene in enumerate(scenes)
    ]


def _presence_pairs(scene: Scene, seed: int, index: int) -> list[tuple[str, str, str]]:
    """Ask about one picture six times: name, answer and categories.

    Absent shapes are "random" or "popular" (any shape is as common as another here); a shape
    that is there in another colour is "adversarial". What is there belongs to all categories.
    """
    rng = stream(seed, f"benchmark/presence/{index}")
    every = "adversarial,popular,random"
    here = rng.choice(scene.things)
    other = rng.choice(scene.things)
    absent = absent_name(scene, rng, with_colour=False)
    colour = absent_name(scene, rng, with_colour=True)
    return [
        (here.shape, "Yes", every),
        (absent, "No", "popular,random"),
        (other.name, "Yes", every),
        (colour, "No", "adversarial"),
    ]


def presence_rows(seed: int, count: int) -> list[Row]:
    """Make the rows of the yes/no benchmark: four questions about each picture.

    Args:
        seed: Seed of the benchmarks.
        count: Number of questions.

    Returns:
        The rows.
    """
    rng = stream(seed, "benchmark/presence")
    rows: list[Row] = []
    while len(rows) < count:
        scene = draw_scene(rng)
        image = to_base64(scene)
        for name, answer, category in _presence_pairs(scene, seed, len(rows)):
            question = presence_question(name)
            fields = (str(len(rows)), image, question, answer, category)
            rows.append(dict(zip(_POPE_COLUMNS, fields, strict=True)))
    return rows[:count]


def _table(rows: Iterable[Row], columns: Sequence[str]) -> bytes:
    """Lay out rows as tab-separated text in UTF-8."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


_Maker = Callable[[int, int], list[Row]]


def write_benchmarks(
    folder: Path, *, seed: int, sizes: BenchmarkSizes = BenchmarkSizes()
) -> dict[str, Path]:
    """Write the four tables.

    Args:
        folder: Where to write them.
        seed: The same seed gives the same bytes.
        sizes: Numbers of questions.

    Returns:
        Paths by the names of the benchmarks.
    """
    plan: tuple[tuple[str, _Maker, int, tuple[str, ...]], ...] = (
        ("MMBench_DEV_EN_V11", circular_rows, sizes.circular_groups, _CHOICE_COLUMNS),
        ("ScienceQA_VAL", science_rows, sizes.science, _CHOICE_COLUMNS),
        ("TextVQA_VAL", reading_rows, sizes.reading, _READING_COLUMNS),
        ("POPE", presence_rows, sizes.presence, _POPE_COLUMNS),
    )
    for name, make, size, columns in plan:
        write_atomically(folder / f"{name}.tsv", _table(make(seed, size), columns))
    return {name: folder / f"{name}.tsv" for name, *_ in plan}
