"""Scored answers for tests, with reports that follow from their rows, and comparisons of them."""

from collections.abc import Mapping, Sequence

from infra.evaluation.compared import (
    AverageComparison,
    Comparison,
    Flips,
    Interval,
    Side,
    TaskComparison,
)
from infra.evaluation.scored import Report, Scored, ScoredGroup, ScoredRow

RULES = "vlmevalkit-7de2dcb"
TABLE = "ab" * 32
ROTATION = 10**6


def single(
    scores: Sequence[float],
    *,
    name: str = "Single",
    kind: str = "mcq",
    clusters: Sequence[str] | None = None,
) -> Scored:
    """Return a benchmark whose number is the mean over rows: choices, or open answers."""
    names = clusters or [f"image {place}" for place in range(len(scores))]
    rows = [
        ScoredRow(index=place, prediction="A", extracted="A", score=score, cluster=names[place])
        for place, score in enumerate(scores)
    ]
    overall = 100 * sum(scores) / len(scores)
    return _scored(name, kind, rows, Report(overall=overall, unreadable=0, capped=0))


def circular(questions: Sequence[Sequence[bool]], *, name: str = "Circular") -> Scored:
    """Return a circular benchmark from what is right of each question's rotations."""
    rows = [
        ScoredRow(
            index=group + turn * ROTATION,
            prediction="A",
            extracted="A",
            score=right,
            cluster=str(group),
        )
        for group, rotations in enumerate(questions)
        for turn, right in enumerate(rotations)
    ]
    groups = tuple(
        ScoredGroup(group=group, score=all(rotations)) for group, rotations in enumerate(questions)
    )
    overall = 100 * sum(group.score for group in groups) / len(groups)
    scored = _scored(name, "mcq", rows, Report(overall=overall, unreadable=0, capped=0))
    return scored.model_copy(update={"circular": True, "groups": groups})


def yes_no(
    answers: Sequence[tuple[str, str]],
    *,
    name: str = "YesNo",
    weights: Sequence[int] | None = None,
    clusters: Sequence[str] | None = None,
) -> Scored:
    """Return a yes/no benchmark from what is right and what was said: Yes, No or Unknown."""
    weights = weights or [1] * len(answers)
    names = clusters or [f"image {place}" for place in range(len(answers))]
    rows = [
        ScoredRow(
            index=place,
            prediction=said,
            extracted=said,
            score=said == truth,
            cluster=names[place],
            truth=truth,
            weight=weights[place],
        )
        for place, (truth, said) in enumerate(answers)
    ]
    hits = sum(row.weight for row in rows if row.extracted == row.truth == "Yes")
    said_or_true = sum(
        row.weight * ((row.extracted == "Yes") + (row.truth == "Yes")) for row in rows
    )
    report = Report(
        overall=100 * 2 * hits / said_or_true if said_or_true else 0,
        unreadable=_percent([row.extracted == "Unknown" for row in rows]),
        yes_share=_percent([row.extracted == "Yes" for row in rows]),
        capped=0,
    )
    return _scored(name, "yes_no", rows, report)


def by_name(*results: Scored) -> dict[str, Scored]:
    """Return results by the names of their benchmarks."""
    return {one.benchmark: one for one in results}


def an_interval(low: float, high: float) -> Interval:
    """Return an interval whose one-sided bounds are a sixth further in, as for a normal curve."""
    inwards = 0.08 * (high - low)
    return Interval(low=low, high=high, lower=low + inwards, upper=high - inwards)


def a_task(
    *,
    before: float = 80.0,
    after: float = 80.0,
    p_worse: float = 1.0,
    flips: tuple[int, int] = (0, 0),
    sides: Mapping[str, tuple[float, float]] | None = None,
    clusters: int = 1000,
) -> TaskComparison:
    """Return a comparison on 1,000 yes/no rows; ``sides`` are shares before and after."""
    shares: dict[str, tuple[float, float]] = {
        "unreadable": (0, 0), "capped": (0, 0), "yes_share": (50, 50), **(sides or {}),
    }  # fmt: skip
    old, new = ({name: pair[side] for name, pair in shares.items()} for side in (0, 1))
    return TaskComparison(
        benchmark="POPE",
        kind="yes_no",
        circular=False,
        table_sha256=TABLE,
        rows=1000,
        clusters=clusters,
        baseline=Side(overall=before, **old),
        candidate=Side(overall=after, **new),
        difference=after - before,
        interval=an_interval(after - before - 1, after - before + 1),
        flips=Flips(down=flips[0], up=flips[1], units=1000),
        test="bootstrap",
        p_value=min(1.0, 2 * p_worse),
        p_worse=p_worse,
        p_worse_holm=p_worse,
    )


def a_comparison(
    *tasks: TaskComparison, difference: float = 0.0, bounds: tuple[float, float] = (-0.5, 0.5)
) -> Comparison:
    """Return a comparison whose average moved by ``difference``, with these one-sided bounds."""
    low, high = bounds
    return Comparison(
        rules=RULES,
        seed=42,
        resamples=9999,
        tasks=tasks or (a_task(),),
        average=AverageComparison(
            baseline=80,
            candidate=80 + difference,
            difference=difference,
            interval=Interval(low=low - 0.1, high=high + 0.1, lower=low, upper=high),
        ),
    )


def _percent(hits: Sequence[bool]) -> float:
    return 100 * sum(hits) / len(hits)


def _scored(name: str, kind: str, rows: Sequence[ScoredRow], report: Report) -> Scored:
    return Scored(
        benchmark=name,
        kind=kind,
        circular=False,
        rules=RULES,
        table_sha256=TABLE,
        rows=tuple(rows),
        report=report,
    )
