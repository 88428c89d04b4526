"""The numbers of a benchmark, in points of 100: shares of right answers, and F1 of the answer Yes.

Sums are whole numbers or exact, so that the order of rows has no say in a result.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from infra.evaluation.question import Question
from infra.evaluation.scored import Detection, Report, ScoredRow

POINTS = 100
_UNREADABLE = (None, "", "Unknown")


class Judged(NamedTuple):
    """One row and its answer."""

    question: Question
    row: ScoredRow


class Counted(NamedTuple):
    """One thing that counts: a row, or a question with all its rotations."""

    question: Question  # the row, or the one that the rotations were made of
    score: float


T = TypeVar("T", Counted, Judged)


def share(hits: Iterable[float]) -> float:
    """Return the mean of values from 0 to 1, at least one, in points."""
    values = list(hits)
    return POINTS * math.fsum(values) / len(values)


def counted_report(rows: Sequence[Judged], whole: Sequence[Counted], *, circular: bool) -> Report:
    """Return the numbers of multiple choice and of open answers.

    Args:
        rows: Every row, at least one.
        whole: What counts: the rows again, or the circular questions.
        circular: Which of both.
    """
    splits = _by_name(whole, lambda question: [question.split])
    return Report(
        overall=share(one.score for one in whole),
        categories=_by_name(whole, lambda question: question.categories),
        l2_categories=_by_name(whole, lambda question: [question.l2_category]),
        splits=splits if len(splits) > 1 else {},
        vanilla=share(one.row.score for one in rows) if circular else None,
        unreadable=_unreadable(rows),
        capped=_capped(rows),
    )


def detection_report(rows: Sequence[Judged]) -> Report:
    """Return the numbers of yes/no answers.

    The number of the table is F1 over rows that count as often as they have categories, which is
    not the mean of the categories' F1.
    """
    repeated = [one for one in rows for _ in range(one.row.weight)]
    overall = detection(repeated)
    by_category = {
        name: detection(members)
        for name, members in _grouped(rows, lambda question: question.categories).items()
    }
    return Report(
        overall=overall.f1,
        categories={name: one.f1 for name, one in by_category.items()},
        detection={**by_category, "Overall": overall},
        yes_share=share(one.row.extracted == "Yes" for one in rows),
        unreadable=_unreadable(rows),
        capped=_capped(rows),
    )


def detection(rows: Sequence[Judged]) -> Detection:
    """Count answers as those of a detector of Yes; at least one.

    What is neither Yes nor No counts as No in F1, precision and recall, but as wrong in accuracy.
    Where there is nothing to divide by, the result is 0.
    """
    found = [(one.row.truth == "Yes", one.row.extracted == "Yes") for one in rows]
    hits = sum(truth and said for truth, said in found)
    said = sum(said for _, said in found)
    true = sum(truth for truth, _ in found)
    return Detection(
        f1=_ratio(2 * hits, said + true),
        acc=share(one.row.score for one in rows),
        precision=_ratio(hits, said),
        recall=_ratio(hits, true),
    )


def _ratio(part: int, whole: int) -> float:
    return POINTS * part / whole if whole else 0.0


def _unreadable(rows: Sequence[Judged]) -> float:
    return share(one.row.extracted in _UNREADABLE for one in rows)


def _capped(rows: Sequence[Judged]) -> float:
    return share(one.row.capped for one in rows)


def _by_name(
    whole: Sequence[Counted], names: Callable[[Question], Iterable[str | None]]
) -> dict[str, float]:
    return {
        name: share(one.score for one in members)
        for name, members in _grouped(whole, names).items()
    }


def _grouped(
    counted: Sequence[T], names: Callable[[Question], Iterable[str | None]]
) -> dict[str, list[T]]:
    """Return those of each name, in the order of the alphabet.

    A question with several names belongs to each of them; one that has a name twice, twice.
    """
    members: dict[str, list[T]] = {}
    for one in counted:
        for name in names(one.question):
            if name:
                members.setdefault(name, []).append(one)
    return dict(sorted(members.items()))
