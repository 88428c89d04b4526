"""Sums are those of all tokens, and intervals those of scipy over whole samples."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import stats

from quantcore.metrics import TokenFidelity
from tasks.divergence import divergence
from tasks.evalspecs import Divergence

LENGTHS = (3, 40, 1, 25, 17, 8, 30, 12)
Array = npt.NDArray[np.float64]


def samples(*, seed: int = 0, scale: float = 1.0) -> list[TokenFidelity]:
    """Return tokens with skewed divergences; each sample has a level of its own."""
    draw = np.random.default_rng(seed)
    found = []
    for length in LENGTHS:
        kl = scale * draw.exponential(draw.uniform(0.1, 2), length)
        nll = draw.exponential(2.0, length)
        agreeing = (kl < 1).astype(np.float64)
        found.append(TokenFidelity(*map(torch.tensor, (nll, nll + kl, kl, agreeing))))
    return found


def flat(values: Sequence[TokenFidelity], field: str) -> Array:
    """Return one field of all tokens."""
    return np.concatenate([getattr(each, field).numpy() for each in values])


def scipys(data: tuple[Array, ...], statistic: object, *, n_resamples: int = 9999) -> list[float]:
    """Return both ends of the 95 % and of the 90 % interval, by scipy's own bootstrap."""
    ends: list[float] = []
    for level in (0.95, 0.90):
        found = stats.bootstrap(
            data,
            statistic,
            paired=True,
            method="percentile",
            n_resamples=n_resamples,
            confidence_level=level,
            rng=np.random.default_rng(42),
        ).confidence_interval
        ends += [float(found.low), float(found.high)]
    return ends


def ends_of(told: Divergence, field: str) -> list[float]:
    """Return low, high, lower and upper of an interval."""
    interval = getattr(told, field)
    return [interval.low, interval.high, interval.lower, interval.upper]


def test_sums_are_those_of_all_tokens() -> None:
    """A long text counts as many times as it has tokens."""
    given = samples()
    nll, small, kl, agreeing = (flat(given, field) for field in TokenFidelity._fields)

    told = divergence(given)

    assert (told.samples, told.tokens) == (len(LENGTHS), sum(LENGTHS))
    assert told.perplexity_16bit == pytest.approx(math.exp(nll.mean()))
    assert told.perplexity_int4 == pytest.approx(math.exp(small.mean()))
    assert told.perplexity_ratio == pytest.approx(math.exp(small.mean() - nll.mean()))
    assert told.mean_kl == pytest.approx(kl.mean())
    assert told.top1_agreement == agreeing.mean()
    assert (told.mean_kl_rtn, told.less_than_rtn) == (None, None)
    assert (told.mean_kl_int4, told.times_int4) == (None, None)


def test_the_quantile_is_numpys() -> None:
    """The smallest divergence that 99 % of the tokens do not exceed: one that was measured."""
    kl = flat(samples(), "kl_T")

    assert divergence(samples()).p99_kl == np.quantile(kl, 0.99, method="inverted_cdf")


def test_the_interval_of_the_mean_is_scipys() -> None:
    """Samples are drawn anew, and the mean is over the tokens of those that were drawn."""
    given = samples()
    sums = np.array([float(each.kl_T.sum()) for each in given])
    counts = np.array(LENGTHS, dtype=np.float64)

    expected = scipys((sums, counts), lambda s, n, axis: s.sum(axis) / n.sum(axis))

    assert ends_of(divergence(given), "mean_kl_interval") == pytest.approx(expected)


def test_the_interval_of_the_quantile_is_scipys() -> None:
    """The quantile of the tokens of drawn samples, put together one draw after the other."""
    given = samples()
    kl = [each.kl_T.numpy() for each in given]

    def quantile(drawn: npt.NDArray[np.int64]) -> np.float64:
        tokens = np.concatenate([kl[number] for number in drawn])
        return np.quantile(tokens, 0.99, method="inverted_cdf")

    numbers = (np.arange(len(kl)),)
    expected = scipys(numbers, quantile, n_resamples=999)

    assert ends_of(divergence(given), "p99_kl_interval") == pytest.approx(expected)


def test_the_interval_against_round_to_nearest_is_paired() -> None:
    """The same samples are drawn for both, so what is hard for both moves nothing."""
    mine, other = samples(), samples(scale=1.5)
    sums = [np.array([float(each.kl_T.sum()) for each in rows]) for rows in (other, mine)]
    counts = np.array(LENGTHS, dtype=np.float64)

    expected = scipys((*sums, counts), lambda a, b, n, axis: (b - a).sum(axis) / n.sum(axis))
    told = divergence(mine, other)

    assert told.mean_kl_rtn == pytest.approx(flat(other, "kl_T").mean())
    assert ends_of(told, "less_than_rtn") == pytest.approx(expected)
    assert told.less_than_rtn is not None
    assert told.less_than_rtn.high < 0 < told.mean_kl_interval.low
    paired = told.less_than_rtn.high - told.less_than_rtn.low
    assert paired < told.mean_kl_interval.high - told.mean_kl_interval.low


def test_the_multiple_of_four_bits_is_of_the_same_samples() -> None:
    """What is drawn for one is drawn for the other, and the sums are divided, not the means."""
    mine, other = samples(), samples(scale=0.2, seed=1)
    sums = [np.array([float(each.kl_T.sum()) for each in rows]) for rows in (other, mine)]

    expected = scipys(tuple(sums), lambda a, b, axis: b.sum(axis) / a.sum(axis))
    told = divergence(mine, int4=other)

    assert told.mean_kl_int4 == pytest.approx(flat(other, "kl_T").mean())
    assert ends_of(told, "times_int4") == pytest.approx(expected)
    assert (told.mean_kl_rtn, told.less_than_rtn) == (None, None)


def test_a_multiple_of_nothing_is_of_what_float32_makes() -> None:
    """Four bits that lose nothing, as of weights that lie on the grid, divide by no zero."""
    nothing = samples(scale=0.0)

    assert ends_of(divergence(nothing, int4=nothing), "times_int4") == [0, 0, 0, 0]
    times = divergence(samples(), int4=nothing).times_int4
    assert times is not None
    assert times.low > 1e5


def test_nothing_less_than_itself_is_nothing() -> None:
    """Round-to-nearest against itself: no difference, in every resample."""
    told = divergence(samples(), samples())

    assert told.mean_kl_rtn == pytest.approx(told.mean_kl)
    assert ends_of(told, "less_than_rtn") == [0, 0, 0, 0]


def test_a_model_against_itself_is_exactly_zero() -> None:
    """No interval is wider than what there is to vary."""
    told = divergence(samples(scale=0.0))

    assert (told.mean_kl, told.p99_kl, told.top1_agreement) == (0, 0, 1)
    assert told.perplexity_ratio == 1
    assert ends_of(told, "mean_kl_interval") == ends_of(told, "p99_kl_interval") == [0, 0, 0, 0]


def test_a_single_sample_is_its_own_interval() -> None:
    """It can only be drawn as it is: no width is made up, and no warning is raised."""
    one = samples()[1:2]

    told = divergence(one, one)

    assert ends_of(told, "mean_kl_interval") == [told.mean_kl] * 4
    assert ends_of(told, "p99_kl_interval") == [told.p99_kl] * 4
    assert ends_of(told, "less_than_rtn") == [0, 0, 0, 0]


def test_a_sample_without_predictions_adds_nothing() -> None:
    """A text of one token foretells none."""
    nothing = TokenFidelity(*(torch.zeros(0, dtype=torch.float64) for _ in range(4)))
    given = [*samples(), nothing]

    told, without = divergence(given), divergence(samples())

    assert (told.samples, without.samples) == (9, 8)
    assert (told.tokens, told.mean_kl, told.p99_kl) == (
        without.tokens,
        without.mean_kl,
        without.p99_kl,
    )


def test_the_same_tokens_give_the_same_numbers() -> None:
    """Intervals are drawn with a seed, so that a report can be repeated."""
    assert divergence(samples(), samples(seed=1)) == divergence(samples(), samples(seed=1))
