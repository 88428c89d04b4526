"""From tokens to numbers with intervals.

Whole samples are drawn anew, and not tokens: those of one text are easy or hard together.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from infra.evaluation.statistics import interval, mean, paired_interval, resample
from infra.evaluation.verdict import NO_KL
from quantcore.metrics import NOTHING, TokenFidelity, merge
from tasks.evalspecs import Divergence

Array = npt.NDArray[np.float64]
QUANTILE = 0.99
_RESAMPLES = 999  # of the quantile: each looks at every token


def divergence(
    candidate: Sequence[TokenFidelity],
    nearest: Sequence[TokenFidelity] | None = None,
    int4: Sequence[TokenFidelity] | None = None,
) -> Divergence:
    """Sum up one held-out set.

    Args:
        candidate: Each sample's tokens; at least one token in all.
        nearest: The same samples with round-to-nearest in the candidate's place.
        int4: The same with round-to-nearest to 4 bits.
    """
    total = NOTHING
    for sample in candidate:
        total = merge(total, sample.total)
    sums = _sums(candidate)
    kl = [sample.kl_T.numpy() for sample in candidate]
    told = Divergence(
        samples=len(candidate),
        tokens=total.tokens,
        perplexity_16bit=total.perplexity_reference,
        perplexity_int4=total.perplexity_candidate,
        mean_kl=total.mean_kl,
        mean_kl_interval=interval(resample(sums, mean)),
        p99_kl=_quantile(np.sort(np.concatenate(kl)), np.ones(total.tokens)),
        p99_kl_interval=interval(_resampled_quantiles(kl)),
        top1_agreement=total.top1_agreement,
    )
    if nearest is not None:
        other = _sums(nearest)
        less = {
            "mean_kl_rtn": float(mean(other.sum(0))),
            "less_than_rtn": paired_interval(other, sums, mean),
        }
        told = told.model_copy(update=less)
    if int4 is not None:
        other = _sums(int4)
        times = {
            "mean_kl_int4": float(mean(other.sum(0))),
            "times_int4": interval(resample(np.concatenate([other, sums], axis=1), _times)),
        }
        told = told.model_copy(update=times)
    return told


def _times(sums: Array) -> Array:
    """Return how many times the first KL the second is, of sums ``[..., (KL, tokens) twice]``."""
    other, tokens, mine, _ = np.moveaxis(sums, -1, 0)
    least = NO_KL * np.maximum(tokens, 1)
    return np.asarray(mine / np.maximum(other, least), dtype=np.float64)


def _sums(samples: Sequence[TokenFidelity]) -> Array:
    """Return what each sample adds: its KL, and its tokens."""
    return np.array([(float(s.kl_T.sum()), len(s.kl_T)) for s in samples], dtype=np.float64)


def _resampled_quantiles(kl: Sequence[Array]) -> Array:
    """Return the quantile over tokens of samples drawn anew, many times over."""
    if len(kl) == 1:
        return np.array([_quantile(np.sort(kl[0]), np.ones_like(kl[0]))])
    tokens = np.concatenate(kl)
    of_sample = np.repeat(np.arange(len(kl)), [len(each) for each in kl])
    order = np.argsort(tokens)
    tokens, of_sample = tokens[order], of_sample[order]

    def of_drawn(drawn: npt.NDArray[np.int64]) -> float:
        return _quantile(tokens, np.bincount(drawn, minlength=len(kl))[of_sample])

    outcome = stats.bootstrap(
        (np.arange(len(kl)),),
        of_drawn,
        n_resamples=_RESAMPLES,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(42),
    )
    return np.asarray(outcome.bootstrap_distribution, dtype=np.float64)


def _quantile(ordered: Array, weights: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> float:
    """Return the smallest of the ``ordered`` values below which `QUANTILE` of the weight lies."""
    reached = np.cumsum(weights)
    return float(ordered[np.searchsorted(reached, QUANTILE * reached[-1])])
