"""How far chance alone could move a number: paired, clustered resampling, and exact tests.

Answers on one image, or to the rotations of one question, are right or wrong together, so whole
clusters are drawn; and both models are asked the same, so a cluster is drawn for both at once.
(Miller, arXiv:2411.00640, is the case for both.)  A number is a function of sums over clusters,
which lets one resampler serve means, F1 and differences of either.

Shapes: C clusters, K sums kept of each, R resamples, B resamples of one batch.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from infra.evaluation.compared import Interval

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""Maps sums ``[..., K]`` to numbers ``[...]``."""

RESAMPLES = 9999
_DIGITS = 12  # sums of tenths differ in their last bits: that is no difference
_BATCH_NUMBERS = 2**18  # in one batch: stays in the cache, and memory does not grow with R


def mean(sums: Array) -> Array:
    """Return total / count of sums ``[..., (total, count)]``."""
    return _ratio(sums[..., 0], sums[..., 1])


def f1(sums: Array) -> Array:
    """Return F1 of sums ``[..., (true positives, false positives, false negatives)]``.

    Without a true positive it is 0, also where there is nothing to find.
    """
    true, false_positive, false_negative = sums[..., 0], sums[..., 1], sums[..., 2]
    return _ratio(2 * true, 2 * true + false_positive + false_negative)


def difference(statistic: Statistic) -> Statistic:
    """Return what ``statistic`` gives for the second half of the sums, less for the first."""

    def of_pairs(sums: Array) -> Array:
        baseline, candidate = np.split(sums, 2, axis=-1)
        return np.round(statistic(candidate) - statistic(baseline), _DIGITS)

    return of_pairs


def resample(
    sums: Array, statistic: Statistic, *, seed: Sequence[int] = (42,), resamples: int = RESAMPLES
) -> Array:
    """Return a statistic of clusters drawn anew, with replacement, many times over.

    A single cluster can only be drawn as it is, so all resamples are the number itself.

    Args:
        sums: ``[C, K]``, what each cluster adds.
        statistic: The number of interest.
        seed: Whole numbers, not negative.  Two numbers that share nothing need different ones.
        resamples: R.

    Returns:
        ``[R]``
    """
    clusters, kept = sums.shape
    if clusters == 1:
        return np.full(resamples, statistic(sums[0]))

    columns = np.ascontiguousarray(sums.T)  # summed one by one: seven times as fast as rows

    def of_drawn(drawn: npt.NDArray[np.int64], axis: int) -> Array:
        return statistic(np.stack([np.take(one, drawn).sum(axis) for one in columns], axis=-1))

    outcome = stats.bootstrap(
        (np.arange(clusters),),
        of_drawn,
        n_resamples=resamples,
        batch=max(1, _BATCH_NUMBERS // (clusters * kept)),
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(list(seed)),
    )
    return np.asarray(outcome.bootstrap_distribution, dtype=np.float64)


def interval(resampled: Array) -> Interval:
    """Return the percentile interval, and the one-sided bounds, of resamples ``[R]``."""
    low, lower, upper, high = (float(end) for end in np.percentile(resampled, (2.5, 5, 95, 97.5)))
    return Interval(low=low, high=high, lower=lower, upper=upper)


def paired_interval(
    baseline: Array,
    candidate: Array,
    statistic: Statistic,
    *,
    seed: Sequence[int] = (42,),
    resamples: int = RESAMPLES,
) -> Interval:
    """Return the interval of candidate less baseline.

    Args:
        baseline: ``[C, K]``, what each cluster adds for the baseline.
        candidate: ``[C, K]``, the same clusters in the same order.
        statistic: The number of interest, such as `mean`.
        seed: As in `resample`.
        resamples: R.
    """
    pairs = np.concatenate([baseline, candidate], axis=1)
    drawn = resample(pairs, difference(statistic), seed=seed, resamples=resamples)
    return interval(drawn)


def p_worse(resampled: Array) -> float:
    """Return the one-sided p value of "not worse" from resampled differences ``[R]``."""
    return _tail(int(np.count_nonzero(resampled >= 0)), resampled.size)


def p_different(resampled: Array) -> float:
    """Return the two-sided p value of "no difference" from resampled differences ``[R]``."""
    better = _tail(int(np.count_nonzero(resampled <= 0)), resampled.size)
    return min(1.0, 2 * min(better, p_worse(resampled)))


def mcnemar(wrong_to_right: int, right_to_wrong: int, *, one_sided: bool = False) -> float:
    """Return the exact p value of McNemar's test: are flips as likely down as up?

    Args:
        wrong_to_right: Flips up.
        right_to_wrong: Flips down.
        one_sided: Ask whether they are at most as likely down as up: small values say "worse".
    """
    flips = wrong_to_right + right_to_wrong
    if not flips:
        return 1.0
    alternative = "greater" if one_sided else "two-sided"
    return float(stats.binomtest(right_to_wrong, flips, 0.5, alternative=alternative).pvalue)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p values so that any false alarm among them is as likely as one alone would be.

    Holm's step-down: the smallest counts times all, the next times all but one, and so on; never
    less than one before it, never above 1.  Order is kept.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)


def average(numbers: Sequence[float]) -> float:
    """Return the plain mean, of numbers that nobody has rounded yet."""
    return math.fsum(numbers) / len(numbers)


def _ratio(above: Array, below: Array) -> Array:
    """Divide; nothing by nothing is 0."""
    return np.divide(above, below, out=np.zeros_like(below), where=below != 0)


def _tail(beyond: int, resamples: int) -> float:
    """Count the number itself as one resample, so that p is never 0."""
    return (beyond + 1) / (resamples + 1)
