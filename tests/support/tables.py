"""Benchmark tables for tests: a few rows in VLMEvalKit's columns, to be spoilt one at a time."""

import base64
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.evaluation.benchmark import Benchmark
from tests.support.calibration import picture

MCQ = Benchmark(name="Choices", kind="mcq")
YES_NO = Benchmark(name="Presence", kind="yes_no")
VQA = Benchmark(name="Reading", kind="vqa")

Row = dict[str, str]


def encoded(shade: int = 200) -> str:
    """Return a picture in base64; another shade is another picture."""
    return base64.b64encode(picture((28, 28), shade=shade)).decode()


def choices(count: int = 3) -> list[Row]:
    """Return questions with three options, each about its own picture."""
    return [
        {
            "index": str(index),
            "image": encoded(index),
            "question": f"What is {index}?",
            "hint": "",
            "A": "a cat",
            "B": "a dog",
            "C": "",
            "answer": "B",
            "category": "animals",
        }
        for index in range(count)
    ]


def presence(count: int = 3) -> list[Row]:
    """Return yes/no questions."""
    return [
        {
            "index": str(index),
            "image": encoded(index),
            "question": f"Is there a {index}?",
            "answer": ("Yes", "No")[index % 2],
            "category": "adversarial,popular",
        }
        for index in range(count)
    ]


def reading(count: int = 3) -> list[Row]:
    """Return open questions with ten annotators."""
    return [
        {
            "index": str(index),
            "image": encoded(index),
            "question": "What does it say?",
            "answer": repr(["stop"] * 7 + ["Stop", "halt", "it's"]),
        }
        for index in range(count)
    ]


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write rows, with the columns of the first, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
