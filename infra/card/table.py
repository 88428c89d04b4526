"""From comparisons to the rows of the card."""

from collections.abc import Iterable, Mapping

from infra.card.scores import AVERAGE, BenchmarkFacts, Metric, ScoreRow, VariantScore
from infra.evaluation.compared import AverageComparison, Comparison, TaskComparison

_METRICS: Mapping[tuple[str, bool], Metric] = {
    ("mcq", False): "accuracy",
    ("mcq", True): "circular accuracy",
    ("vqa", False): "VQA accuracy",
    ("yes_no", False): "F1",
}


def benchmark_facts(task: TaskComparison, dropped: int, notes: Iterable[str]) -> BenchmarkFacts:
    """Return what a benchmark's number was counted on.

    Args:
        task: Any variant's comparison; what is told here is the same in all.
        dropped: Rows that were not asked.
        notes: What a reader should know.
    """
    return BenchmarkFacts(
        name=task.benchmark,
        metric=_METRICS[task.kind, task.circular],
        rows=task.rows,
        questions=task.flips.units,
        dropped=dropped,
        table_sha256=task.table_sha256,
        notes=tuple(notes),
    )


def average_row(comparisons: Mapping[str, Comparison]) -> ScoreRow:
    """Return the row of averages: of unrounded numbers, by the name of the variant."""
    first = next(iter(comparisons.values()))
    scores = [
        _score(name, one.average, first.average.baseline, one.average.candidate)
        for name, one in comparisons.items()
    ]
    return ScoreRow(name=AVERAGE, baseline=first.average.baseline, variants=tuple(scores))


def score_rows(comparisons: Mapping[str, Comparison]) -> tuple[ScoreRow, ...]:
    """Return one row a benchmark, in the order of the comparisons."""
    first = next(iter(comparisons.values()))
    return tuple(
        _task_row({name: one.tasks[place] for name, one in comparisons.items()})
        for place in range(len(first.tasks))
    )


def _task_row(tasks: Mapping[str, TaskComparison]) -> ScoreRow:
    first = next(iter(tasks.values()))
    before = first.baseline.overall
    scores = [
        _score(name, one, before, one.candidate.overall).model_copy(
            update={"flips_down": one.flips.down_rate, "flips_up": one.flips.up_rate}
        )
        for name, one in tasks.items()
    ]
    return ScoreRow(name=first.benchmark, baseline=before, variants=tuple(scores))


def _score(
    variant: str, one: AverageComparison | TaskComparison, before: float, overall: float
) -> VariantScore:
    return VariantScore(
        variant=variant,
        overall=overall,
        difference=one.difference,
        low=one.interval.low,
        high=one.interval.high,
        recovery=100 * overall / before if before else None,
    )
