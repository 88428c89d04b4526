"""Questions of a benchmark as values, with nothing left of the file that they came from."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.evaluation.benchmark import Benchmark

ROTATION = 10**6
"""Rows of a circular benchmark are one question if their indices are the same modulo this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One row."""

    index: int
    text: str  # the bare question
    hint: str | None
    options: tuple[tuple[str, str], ...]  # (letter, text), as they are offered; mcq only
    answer: str  # mcq: a letter of the options; yes_no: "Yes" or "No"; vqa: the cell as it is
    answers: tuple[str, ...]  # vqa: those of the annotators; () where the cell is not a list
    categories: tuple[str, ...]  # yes_no: the cell split at commas; else the cell, if not empty
    l2_category: str | None
    split: str | None
    image: str  # names the image: rows with equal names have the same image

    @property
    def group(self) -> int:
        """The question that this row is a rotation of."""
        return self.index % ROTATION


@dataclass(frozen=True, slots=True)
class Table:
    """All questions of a benchmark, in the order of the file.

    Attributes:
        benchmark: What they belong to.
        questions: At least one; their indices differ.
        images: Encoded pictures (JPEG, PNG, ...) by the names that questions have; empty when the
            table was read for scoring alone.
        sha256: Digest of the file.
        rows: Rows of the file.
        dropped: Rows without an image, which are not asked.
        notes: What a person should know about the file, in words.
    """

    benchmark: Benchmark
    questions: tuple[Question, ...]
    images: Mapping[str, bytes]
    sha256: str
    rows: int
    dropped: int
    notes: tuple[str, ...] = ()
