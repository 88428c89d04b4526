"""Put two models side by side: the same questions, the same rules, and each question asked twice.

Two averages of independent runs of the reference benchmarks differ by a point from noise alone.
Paired by question the noise is half of that or less, so nothing here works on two lists of
numbers: rows are paired first, and what cannot be paired is refused.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from infra.errors import (
    DifferentRowsError,
    DifferentRulesError,
    DifferentTablesError,
    DifferentTasksError,
)
from infra.evaluation.clusters import ClusterSums, Unit, cluster_sums, units
from infra.evaluation.compared import (
    AverageComparison,
    Comparison,
    Flips,
    Side,
    TaskComparison,
    Test,
)
from infra.evaluation.scored import Scored
from infra.evaluation.statistics import (
    RESAMPLES,
    Array,
    average,
    difference,
    holm,
    interval,
    mcnemar,
    p_different,
    p_worse,
    resample,
)

__all__ = ["Comparison", "compare"]


class _Pair(NamedTuple):
    """One benchmark, answered twice."""

    baseline: Scored
    candidate: Scored
    before: tuple[Unit, ...]
    after: tuple[Unit, ...]
    base_sums: ClusterSums
    new_sums: ClusterSums


class _PValues(NamedTuple):
    test: Test
    two_sided: float
    worse: float


def compare(
    baseline: Mapping[str, Scored],
    candidate: Mapping[str, Scored],
    *,
    seed: int = 42,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare a candidate with its baseline, benchmark by benchmark and on average.

    A benchmark's resamples depend on the seed and its name alone, so that its interval is the same
    whichever other benchmarks there are.

    Args:
        baseline: What the baseline's answers are worth, by benchmark.
        candidate: What the candidate's are worth.
        seed: Seed of the resamples.
        resamples: How often clusters are drawn anew.

    Raises:
        DifferentTasksError: They are of other benchmarks, or of none.
        DifferentRulesError: They are counted by other rules.
        DifferentTablesError: A benchmark's questions are of other files.
        DifferentRowsError: One answers questions that the other does not.
        InconsistentScoresError: Rows and report of one do not fit together.
    """
    _same_tasks(baseline, candidate)
    pairs = [_pair(baseline[name], candidate[name]) for name in baseline]
    rules = _one_rule_set(pairs)
    drawn = [_differences(pair, seed, resamples) for pair in pairs]
    p_values = [
        _p_values(pair, differences) for pair, differences in zip(pairs, drawn, strict=True)
    ]
    adjusted = holm([values.worse for values in p_values])
    return Comparison(
        rules=rules,
        seed=seed,
        resamples=resamples,
        tasks=tuple(map(_task, pairs, drawn, p_values, adjusted)),
        average=_average(pairs, drawn),
    )


def _pair(baseline: Scored, candidate: Scored) -> _Pair:
    """Pair two results of one benchmark, or say why they cannot be."""
    _same_counting(baseline, candidate)
    if baseline.table_sha256 != candidate.table_sha256:
        raise DifferentTablesError(
            f"The two results of {baseline.benchmark} are of other tables, with SHA-256 "
            f"{baseline.table_sha256[:12]} and {candidate.table_sha256[:12]}. Evaluate both models "
            "on one file."
        )
    _same_rows(baseline, candidate)
    return _Pair(
        baseline,
        candidate,
        units(baseline),
        units(candidate),
        cluster_sums(baseline),
        cluster_sums(candidate),
    )


def _differences(pair: _Pair, seed: int, resamples: int) -> Array:
    """Return resampled differences, in points ``[R]``."""
    sums = np.concatenate([pair.base_sums.sums, pair.new_sums.sums], axis=1)
    statistic = difference(pair.base_sums.statistic)
    stream = (seed, *pair.baseline.benchmark.encode())
    return 100 * resample(sums, statistic, seed=stream, resamples=resamples)


def _p_values(pair: _Pair, differences: Array) -> _PValues:
    """Right or wrong is tested exactly; F1 and partly right answers by their resamples."""
    if pair.baseline.kind != "mcq":
        return _PValues("bootstrap", p_different(differences), p_worse(differences))
    flips = _flips(pair)
    worse = mcnemar(flips.up, flips.down, one_sided=True)
    return _PValues("mcnemar", mcnemar(flips.up, flips.down), worse)


def _task(pair: _Pair, differences: Array, p_values: _PValues, adjusted: float) -> TaskComparison:
    """Put together what is known of one benchmark."""
    before, after = pair.baseline, pair.candidate
    return TaskComparison(
        benchmark=before.benchmark,
        kind=before.kind,
        circular=before.circular,
        table_sha256=before.table_sha256,
        rows=len(before.rows),
        clusters=len(pair.base_sums.clusters),
        baseline=_side(before),
        candidate=_side(after),
        difference=after.report.overall - before.report.overall,
        interval=interval(differences),
        flips=_flips(pair),
        test=p_values.test,
        p_value=p_values.two_sided,
        p_worse=p_values.worse,
        p_worse_holm=adjusted,
    )


def _average(pairs: list[_Pair], drawn: list[Array]) -> AverageComparison:
    """Average the numbers, and the resamples, which were drawn for each benchmark on its own."""
    before = average([pair.baseline.report.overall for pair in pairs])
    after = average([pair.candidate.report.overall for pair in pairs])
    return AverageComparison(
        baseline=before,
        candidate=after,
        difference=after - before,
        interval=interval(np.mean(drawn, axis=0)),
    )


def _side(scored: Scored) -> Side:
    report = scored.report
    return Side(
        overall=report.overall,
        unreadable=report.unreadable,
        capped=report.capped,
        yes_share=report.yes_share,
    )


def _flips(pair: _Pair) -> Flips:
    """Count units that are worth less, or more, than before."""
    scores = [(old.score, new.score) for old, new in zip(pair.before, pair.after, strict=True)]
    return Flips(
        down=sum(new < old for old, new in scores),
        up=sum(new > old for old, new in scores),
        units=len(scores),
    )


def _same_tasks(baseline: Mapping[str, Scored], candidate: Mapping[str, Scored]) -> None:
    if not baseline or baseline.keys() != candidate.keys():
        raise DifferentTasksError(
            f"The baseline has results of {', '.join(sorted(baseline)) or 'no benchmark'}, the "
            f"candidate of {', '.join(sorted(candidate)) or 'no benchmark'}. Evaluate both on the "
            "same ones, at least one."
        )


def _same_counting(baseline: Scored, candidate: Scored) -> None:
    before, after = (
        (one.rules, one.kind, "circular" if one.circular else "not circular")
        for one in (baseline, candidate)
    )
    if before != after:
        raise DifferentRulesError(
            f"The results of {baseline.benchmark} are counted by other rules: {', '.join(before)} "
            f"for the baseline, {', '.join(after)} for the candidate. Score the recorded answers "
            "of both by the same ones."
        )


def _one_rule_set(pairs: list[_Pair]) -> str:
    """Return the rule set of all benchmarks: a mean over several would have no name."""
    first, *others = sorted({pair.baseline.rules for pair in pairs})
    if others:
        raise DifferentRulesError(
            f"The benchmarks are counted by several rule sets: {', '.join([first, *others])}. "
            "Score the recorded answers of all by one of them."
        )
    return first


def _same_rows(baseline: Scored, candidate: Scored) -> None:
    """Check that the rows are the same questions, in one order and in the same clusters."""
    before, after = (
        {row.index: (row.cluster, row.truth, row.weight) for row in one.rows}
        for one in (baseline, candidate)
    )
    alone = sorted(before.keys() ^ after.keys())
    other = [index for index in before.keys() & after.keys() if before[index] != after[index]]
    groups = {one.group for one in baseline.groups} ^ {one.group for one in candidate.groups}
    if alone or other or groups:
        kinds = ((alone, "answered by one alone"), (other, "described otherwise"))
        found = next((f"row {min(rows)} is {how}" for rows, how in kinds if rows), "")
        raise DifferentRowsError(
            f"The baseline's result of {baseline.benchmark} has {len(before)} rows, the "
            f"candidate's {len(after)}, and they are not the same: "
            f"{found or f'group {min(groups)} is scored for one alone'}. Evaluate both on the "
            "same rows of the same file, with the same limit."
        )
