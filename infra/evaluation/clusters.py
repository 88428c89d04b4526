"""What intervals are drawn from: sums over clusters, from which the number of the table follows.

Rows of one cluster (an image, or a question with its rotations) are drawn together.  What is right
or wrong, and flips, is a unit: a row or, in circular benchmarks, a question.
"""

import math
from typing import NamedTuple

import numpy as np

from infra.errors import InconsistentScoresError
from infra.evaluation.question import ROTATION
from infra.evaluation.scored import Scored, ScoredRow
from infra.evaluation.statistics import Array, Statistic, f1, mean

_TOLERANCE = 0.01  # points: what a report that rounds may differ by


class Unit(NamedTuple):
    """What is right or wrong as one."""

    key: int  # index of the row, or of the group
    cluster: str
    score: float


class ClusterSums(NamedTuple):
    """What each cluster adds to the number of the table.

    Attributes:
        clusters: Names, in the order of their first rows.
        sums: ``[C, K]``, what ``statistic`` is a function of.
        statistic: Gives the number, as a share, for sums over any clusters.
    """

    clusters: tuple[str, ...]
    sums: Array
    statistic: Statistic


class _Addend(NamedTuple):
    cluster: str
    counts: tuple[float, ...]  # K


def units(scored: Scored) -> tuple[Unit, ...]:
    """Return what is right or wrong as one, by index.

    Raises:
        InconsistentScoresError: A group has no row.
    """
    rows = _in_order(scored)
    if not scored.circular:
        return tuple(Unit(row.index, row.cluster, row.score) for row in rows)
    clusters: dict[int, str] = {}
    for row in rows:
        clusters.setdefault(row.index % ROTATION, row.cluster)
    lost = next((one.group for one in scored.groups if one.group not in clusters), None)
    if lost is not None:
        raise InconsistentScoresError(
            benchmark=scored.benchmark, problem=f"group {lost} has no row"
        )
    groups = sorted(scored.groups, key=lambda one: one.group)
    return tuple(Unit(one.group, clusters[one.group], one.score) for one in groups)


def cluster_sums(scored: Scored) -> ClusterSums:
    """Return what each cluster adds, and the number that follows from the sums.

    Raises:
        InconsistentScoresError: The report has another number than the rows, a yes/no row does
            not say what is right, or nothing is there.
    """
    if scored.kind == "yes_no":
        rows = _in_order(scored)
        found = [_Addend(row.cluster, _detected(row, scored.benchmark)) for row in rows]
        statistic: Statistic = f1
    else:
        found = [_Addend(unit.cluster, (unit.score, 1.0)) for unit in units(scored)]
        statistic = mean
    if not found:
        raise InconsistentScoresError(benchmark=scored.benchmark, problem="nothing is scored")
    names = tuple(dict.fromkeys(one.cluster for one in found))
    place_of = {name: place for place, name in enumerate(names)}
    sums = np.zeros((len(names), len(found[0].counts)))
    np.add.at(sums, [place_of[one.cluster] for one in found], [one.counts for one in found])
    _agree(scored, 100 * float(statistic(sums.sum(axis=0))))
    return ClusterSums(names, sums, statistic)


def _in_order(scored: Scored) -> list[ScoredRow]:
    """Return the rows by index, so that two results of one benchmark have one order."""
    return sorted(scored.rows, key=lambda row: row.index)


def _detected(row: ScoredRow, benchmark: str) -> tuple[float, float, float]:
    """Return what a row adds to true positives, false positives and false negatives of Yes."""
    if row.truth is None:
        problem = f"row {row.index} does not say what the right answer is"
        raise InconsistentScoresError(benchmark=benchmark, problem=problem)
    said, is_yes, weight = row.extracted == "Yes", row.truth == "Yes", float(row.weight)
    return (
        weight * (said and is_yes),
        weight * (said and not is_yes),
        weight * (is_yes and not said),
    )


def _agree(scored: Scored, from_rows: float) -> None:
    """Check that rows and report tell the same, so that an interval is that of the number shown."""
    if not math.isclose(from_rows, scored.report.overall, rel_tol=0, abs_tol=_TOLERANCE):
        problem = f"the report says {scored.report.overall:.2f}, but its rows give {from_rows:.2f}"
        raise InconsistentScoresError(benchmark=scored.benchmark, problem=problem)
