"""Whole benchmarks: tables of every kind, with answers of which most are right."""

import csv
import itertools
from pathlib import Path
from random import Random
from typing import NamedTuple

from infra.evaluation.question import ROTATION

Row = dict[str, str]
IMAGE = "A" * 68
THINGS = ("a cat", "a hot dog", "the left side", "blue", "two men", "狗", "on the table", "no one")
VAGUE = ("It is hard to say", "Z", "Cannot determine the answer", "A or B", "B and not A", "cat")


class Answered(NamedTuple):
    """A table and answers to all its rows."""

    rows: list[Row]
    predictions: dict[int, str]

    def write(self, path: Path) -> Path:
        """Write the table."""
        columns = list(dict.fromkeys(itertools.chain.from_iterable(self.rows)))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, delimiter="\t", restval="")
            writer.writeheader()
            writer.writerows(self.rows)
        return path


def circular(rng: Random, groups: int) -> Answered:
    """Make questions with two to four options and all their rotations; a few lack the first row."""
    rows, predictions = [], {}
    for group in range(groups):
        options = rng.sample(THINGS, rng.randint(2, 4))
        category = rng.choice(("color", "place", "text"))
        for turn in range(len(options)):
            if turn == 0 and group % 20 == 7:
                continue
            index = group + turn * ROTATION
            turned = options[turn:] + options[:turn]
            row = _choice_row(rng, index, turned, category, "dev")
            rows.append(row)
            predictions[index] = _choose(rng, row)
    rng.shuffle(rows)
    return Answered(rows, predictions)


def vanilla(rng: Random, count: int) -> Answered:
    """Make independent multiple-choice questions in two splits."""
    rows = [
        _choice_row(
            rng, index, rng.sample(THINGS, rng.randint(2, 5)), rng.choice(("x", "y")),
            rng.choice(("dev", "val")),
        )
        for index in rng.sample(range(10 * count), count)
    ]  # fmt: skip
    return Answered(rows, {int(row["index"]): _choose(rng, row) for row in rows})


def presence(rng: Random, count: int) -> Answered:
    """Make yes/no questions, most of them in several categories, and some in none."""
    names = ("adversarial", "popular", "random")
    rows, predictions = [], {}
    for index in range(count):
        answer = rng.choice(("Yes", "No"))
        categories = [name for name in names if rng.random() < 0.6]
        rows.append(_row(index, "Is there a dog?", answer) | {"category": ",".join(categories)})
        wrong = {"Yes": "No", "No": "Yes"}[answer]
        said = answer if rng.random() < 0.8 else wrong
        predictions[index] = rng.choice((said, said, f"{said}, there is", f"{said}:", said.lower()))
    return Answered(rows, predictions)


def reading(rng: Random, count: int) -> Answered:
    """Make open questions with ten annotators of whom some agree; a few cells are no list."""
    words = (
        "coca cola",
        "the dont walk",
        "Stop!",
        "1998.",
        "1,000",
        "three",
        "4.5",
        "it's",
        "exit.",
    )
    rows, predictions = [], {}
    for index in range(count):
        word, share = rng.choice(words), rng.random()
        said = [word if rng.random() < share else rng.choice(words) for _ in range(10)]
        rows.append(_row(index, "What does it say?", word if index % 50 == 3 else str(said)))
        predictions[index] = rng.choice((word, word, f"the {word}", word.upper(), f"{word}."))
    return Answered(rows, predictions)


def _row(index: int, question: str, answer: str) -> Row:
    return {"index": str(index), "image": IMAGE, "question": question, "answer": answer}


def _choice_row(rng: Random, index: int, options: list[str], category: str, split: str) -> Row:
    letters = dict(zip("ABCDE", options, strict=False))
    row = _row(index, "Which?", rng.choice(list(letters)))
    coarse = "coarse" if category in ("color", "x") else "fine"
    return row | letters | {"category": category, "l2-category": coarse, "split": split}


def _choose(rng: Random, row: Row) -> str:
    """Answer a multiple-choice question, mostly right, in one of many ways."""
    if rng.random() < 0.12:
        return rng.choice(VAGUE)
    offered = [letter for letter in "ABCDE" if row.get(letter)]
    letter = row["answer"] if rng.random() < 0.9 else rng.choice(offered)
    text = row[letter]
    return rng.choice(
        (letter, letter, letter, f"({letter})", f"{letter}. {text}", text, f"I say {text}",
         f"{letter}. It can be seen in the picture that it is {text}", f"It must be **{letter}**")
    )  # fmt: skip
