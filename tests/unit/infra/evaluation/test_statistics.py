"""Intervals against scipy called directly, against simulation, and in the corners."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from infra.evaluation.statistics import (
    Array,
    average,
    difference,
    f1,
    holm,
    interval,
    mcnemar,
    mean,
    p_different,
    p_worse,
    paired_interval,
    resample,
)

ROWS = {"MMBench": 1287, "ScienceQA": 2097, "TextVQA": 5000, "POPE": 5127}

pairs = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=12).map(
    lambda rows: np.array(rows, dtype=np.float64) / 10
)


def singles(scores: Array) -> Array:
    """Return the sums of clusters of one row."""
    return np.stack([scores, np.ones_like(scores)], axis=1)


def flipped(rows: int, rate: float, *, seed: int = 0) -> tuple[Array, Array]:
    """Return right and wrong answers, four in five right, of two models that differ in a share."""
    rng = np.random.default_rng(seed)
    before = (np.arange(rows) % 5 > 0).astype(np.float64)
    flips = np.zeros(rows, dtype=bool)
    half = round(rows * rate / 2)
    flips[rng.choice(np.flatnonzero(before == 1), half, replace=False)] = True
    flips[rng.choice(np.flatnonzero(before == 0), half, replace=False)] = True
    return before, np.where(flips, 1 - before, before)


def half_width(sums: Array, **options: int) -> float:
    """Return half of the 95 % interval, in points."""
    drawn = interval(100 * resample(sums, difference(mean), **options))
    return (drawn.high - drawn.low) / 2


def test_an_interval_is_that_of_scipy() -> None:
    """Sums over clusters of one row give what scipy gives for the rows themselves."""
    before, after = flipped(200, 0.1)
    asked = stats.bootstrap(
        (before, after),
        lambda old, new, axis: np.mean(new, axis=axis) - np.mean(old, axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng([7]),
    ).confidence_interval

    ours = paired_interval(singles(before), singles(after), mean, seed=(7,))

    assert (ours.low, ours.high) == pytest.approx((asked.low, asked.high), abs=0.002)


def test_f1_is_drawn_again_from_its_counts() -> None:
    """The interval of F1 is that of F1 of the drawn rows, as scipy gives it."""
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 4, (60, 6)).astype(np.float64)

    def by_scipy(*drawn: Array, axis: int) -> Array:
        old, new = np.split(np.stack([one.sum(axis=axis) for one in drawn]), 2)
        return np.asarray(
            2 * new[0] / (2 * new[0] + new[1] + new[2])
            - 2 * old[0] / (2 * old[0] + old[1] + old[2])
        )

    asked = stats.bootstrap(
        tuple(counts.T),
        by_scipy,
        paired=True,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng([7]),
    ).confidence_interval

    ours = paired_interval(counts[:, :3], counts[:, 3:], f1, seed=(7,))

    assert (ours.low, ours.high) == pytest.approx((asked.low, asked.high), abs=0.005)


@pytest.mark.parametrize(
    ("task", "rate", "expected"),
    [
        ("MMBench", 0.02, 0.77),
        ("MMBench", 0.08, 1.55),
        ("ScienceQA", 0.05, 0.96),
        ("TextVQA", 0.12, 0.96),
        ("POPE", 0.08, 0.77),
    ],
)
def test_the_width_is_what_the_rate_of_flips_allows(
    task: str, rate: float, expected: float
) -> None:
    """Half a width is 1.96 · sqrt(flips) / rows: 5 % of 2,097 rows give a point."""
    before, after = flipped(ROWS[task], rate)

    width = half_width(np.hstack([singles(before), singles(after)]), resamples=2000)

    assert width == pytest.approx(expected, rel=0.06)


def test_an_average_is_known_better_than_its_parts() -> None:
    """Four benchmarks with 8 % flips each, drawn independently: ±0.56 points on average."""
    drawn = []
    for place, rows in enumerate(ROWS.values()):
        before, after = flipped(rows, 0.08, seed=place)
        sums = np.hstack([singles(before), singles(after)])
        drawn.append(resample(sums, difference(mean), seed=(42, place), resamples=2000))

    whole = interval(100 * np.mean(drawn, axis=0))

    assert (whole.high - whole.low) / 2 == pytest.approx(0.56, rel=0.06)


def test_rows_that_go_together_count_as_one() -> None:
    """Ten equal rows an image make the interval no narrower than one row an image would."""
    before, after = flipped(300, 0.1)
    alone = np.hstack([singles(before), singles(after)])

    assert half_width(10 * alone, resamples=500) == half_width(alone, resamples=500)


def test_one_sided_bounds_lie_within_the_interval() -> None:
    """They leave out 5 % on one side, the interval 2.5 % on each."""
    before, after = flipped(400, 0.1)

    bounds = paired_interval(singles(before), singles(after), mean)

    assert bounds.low < bounds.lower < bounds.upper < bounds.high


def test_the_same_seed_gives_the_same_interval() -> None:
    """An interval can be computed again; another seed gives another."""
    sums = np.hstack(list(map(singles, flipped(100, 0.2))))
    first, again, other = (
        resample(sums, difference(mean), seed=(seed,), resamples=50) for seed in (1, 1, 2)
    )

    assert (first.tolist() == again.tolist(), first.tolist() == other.tolist()) == (True, False)


def test_one_cluster_can_only_be_drawn_as_it_is() -> None:
    """Resamples of a single image are all the number itself, without a warning."""
    drawn = resample(np.array([[1.0, 4.0, 3.0, 4.0]]), difference(mean), resamples=10)

    assert drawn.tolist() == [0.5] * 10


@given(pairs)
@settings(max_examples=50, deadline=None)
def test_swapping_the_models_negates_the_interval(scores: Array) -> None:
    """Worse than B by as much as B is better."""
    old, new = singles(scores[:, 0]), singles(scores[:, 1])

    there = paired_interval(old, new, mean, resamples=199)
    back = paired_interval(new, old, mean, resamples=199)

    assert (there.low, there.lower) == pytest.approx((-back.high, -back.upper), abs=1e-9)


@given(pairs)
@settings(max_examples=50, deadline=None)
def test_a_model_does_not_differ_from_itself(scores: Array) -> None:
    """Equal answers give exactly 0, whatever they are worth."""
    sums = np.hstack([singles(scores[:, 0])] * 2)

    drawn = resample(sums, difference(mean), resamples=99)

    assert (drawn.tolist(), p_worse(drawn), p_different(drawn)) == ([0.0] * 99, 1.0, 1.0)


def test_the_last_bits_of_a_sum_are_no_difference() -> None:
    """Two models with the same partly right answers in another order are equally good."""
    old, new = sum([0.1, 0.2, 0.3]), sum([0.3, 0.2, 0.1])
    sums = np.tile([old, 3.0, new, 3.0], (5, 1))

    drawn = resample(sums, difference(mean), resamples=99)

    assert (old == new, p_worse(drawn)) == (False, 1.0)


def test_f1_of_nothing_is_0() -> None:
    """No Yes to find and none said: no division by zero, in any resample."""
    assert resample(np.zeros((4, 3)), f1, resamples=5).tolist() == [0.0] * 5


def test_p_values_of_resamples_count_the_sample_itself() -> None:
    """The smallest p value of 999 resamples is 1 in 1,000, not 0."""
    worse = np.full(999, -1.0)

    assert (p_worse(worse), p_worse(-worse)) == (0.001, 1.0)
    assert (p_different(worse), p_different(-worse)) == (0.002, 0.002)


@pytest.mark.parametrize(
    ("up", "down", "two_sided", "worse"),
    [
        (0, 0, 1.0, 1.0),
        (5, 15, 43400 / 2**20, 21700 / 2**20),  # 2 · (15504 + 4845 + 1140 + 190 + 20 + 1)
        (15, 5, 43400 / 2**20, 1 - 6196 / 2**20),  # all but fewer than 5 of 20
        (0, 3, 0.25, 0.125),
    ],
)
def test_mcnemar_is_exact(up: int, down: int, two_sided: float, worse: float) -> None:
    """Flips are coin tosses if nothing changed."""
    assert mcnemar(up, down) == pytest.approx(two_sided)
    assert mcnemar(up, down, one_sided=True) == pytest.approx(worse)


def test_thirty_questions_fewer_of_two_thousand_are_hardly_chance() -> None:
    """ScienceQA with 5 % flips, 30 more of them down than up: p is about .005."""
    assert mcnemar(37, 67) == pytest.approx(0.005, abs=0.002)


def test_holm_by_hand() -> None:
    """The smallest counts four times, the next three times, and none less than one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


def test_holm_never_exceeds_1() -> None:
    """Certainty is certainty, and nothing is adjusted where there is one test."""
    assert (holm([0.9, 0.8]), holm([0.2]), holm([])) == ((1.0, 1.0), (0.2,), ())


def test_the_average_is_that_of_unrounded_numbers() -> None:
    """The reference card prints 83.82 where its rows give 83.84."""
    assert f"{average([79.64, 83.88, 84.28, 87.57]):.2f}" == "83.84"
