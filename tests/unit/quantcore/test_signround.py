"""What is learned, how fast, and by which slope: SignRound's arithmetic without a block."""

import math

import pytest
import torch
from torch import Tensor

from quantcore.errors import NonFiniteWeightError, ScheduleError, WeightRangeError
from quantcore.grid import BITS, IntGrid, Range, Step, dequantize, fit_step, round_ste, to_half_ste
from quantcore.signround import (
    GroupedWeight,
    Rounding,
    SignRound,
    fake_quantize,
    grouped,
    quantize,
    round_to_nearest,
    sign_step,
    start,
)

GRIDS = [
    IntGrid(bits=bits, group_size=32, symmetric=symmetric)
    for bits in BITS
    for symmetric in (True, False)
]


def gaussian(rows: int = 6, columns: int = 64, *, seed: int = 0) -> Tensor:
    """Return a random weight of the usual size, with a group of one sign and a dead one."""
    draw = torch.Generator().manual_seed(seed)
    weight_OI = torch.randn(rows, columns, generator=draw) * 0.02
    weight_OI[0, :32] = weight_OI[0, :32].abs()
    weight_OI[1, :32] = -weight_OI[1, :32].abs()
    weight_OI[2, :32] = 0
    return weight_OI


def learned(weight: GroupedWeight, *, seed: int = 1) -> Rounding:
    """Return V, alpha and beta as they are somewhere on the way."""
    draw = torch.Generator().manual_seed(seed)
    v_OGS = torch.rand(weight.weight_OGS.shape, generator=draw) * 1.2 - 0.6
    alpha_OG1 = torch.rand(weight.extent.low_OG1.shape, generator=draw) * 0.4 + 0.6
    beta_OG1 = torch.rand(weight.extent.low_OG1.shape, generator=draw) * 0.4 + 0.6
    return Rounding(*(t.requires_grad_() for t in (v_OGS, alpha_OG1, beta_OG1)))


def inclusive(x: Tensor, *, lo: float = -math.inf, hi: float = math.inf) -> Tensor:
    """Clamp with slope 1 on the ends, as torch.clamp had it before 2.14."""
    outside = ((x < lo) | (x > hi)).detach()
    return torch.where(outside, x.detach().clamp(lo, hi), x)


def naive_step(extent: Range, rounding: Rounding, grid: IntGrid) -> Step:
    """Write eq. 4 and the full-range rule plainly, for autograd to differentiate."""
    low, high = extent.low_OG1 * rounding.beta_OG1, extent.high_OG1 * rounding.alpha_OG1
    floor = float(torch.tensor(1e-5).half())
    if grid.symmetric:
        extreme = torch.where(high < -low, -low, -high)
        scale = to_half_ste(extreme / 2 ** (grid.bits - 1))
        scale = torch.where(scale < 0, inclusive(scale, hi=-floor), inclusive(scale, lo=floor))
        return Step(scale, torch.full_like(scale, 2 ** (grid.bits - 1)))
    scale = inclusive(to_half_ste((high - low) / (2**grid.bits - 1)), lo=floor)
    return Step(scale, inclusive(round_ste(-low / scale), lo=1, hi=2**grid.bits - 1))


def naive_fake_quantize(weight: GroupedWeight, rounding: Rounding, grid: IntGrid) -> Tensor:
    """Write eq. 3 plainly, for autograd to differentiate."""
    scale, zero = naive_step(weight.extent, rounding, grid)
    code = round_ste(weight.weight_OGS.float() / scale + rounding.v_OGS) + zero
    return ((inclusive(code, lo=0, hi=2**grid.bits - 1) - zero) * scale).flatten(1)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_by_hand_is_autograds(grid: IntGrid, dtype: torch.dtype) -> None:
    """V, alpha and beta get the slopes that autograd finds through straight-through and clamp."""
    weight = grouped("w", gaussian().to(dtype), grid)
    by_hand, by_autograd = learned(weight), learned(weight)
    slope_OI = torch.randn(6, 64, generator=torch.Generator().manual_seed(7))

    ours = fake_quantize(weight, by_hand, grid, torch.float32)
    theirs = naive_fake_quantize(weight, by_autograd, grid)
    torch.autograd.backward([ours, theirs], [slope_OI, slope_OI])

    assert torch.equal(theirs, ours)
    for expected, actual in zip(by_autograd, by_hand, strict=True):
        torch.testing.assert_close(actual.grad, expected.grad, rtol=1e-4, atol=1e-6)
    clipped = (quantize(weight, by_hand, grid).codes_OI == 0) & (by_hand.v_OGS.grad == 0).flatten(1)
    assert clipped.any()  # the case where the slope stops was among them


def test_alpha_and_beta_learn_through_the_side_that_decides() -> None:
    """On the symmetric grid only the side with the extreme sets the scale, so only it is moved."""
    weight_OI = torch.full((1, 32), 0.3)
    weight_OI[0, 0], weight_OI[0, 1] = 0.9, -0.5
    grid = IntGrid(group_size=32)
    weight = grouped("w", weight_OI, grid)
    rounding = start(weight)

    fake_quantize(weight, rounding, grid, torch.float32).sum().backward()

    assert rounding.alpha_OG1.grad is not None
    assert float(rounding.alpha_OG1.grad) != 0
    assert rounding.beta_OG1.grad is None or float(rounding.beta_OG1.grad) == 0


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_learning_starts_from_round_to_nearest(grid: IntGrid) -> None:
    """Before the first step the codes are those of round-to-nearest, bit for bit."""
    weight = grouped("w", gaussian(), grid)

    first = quantize(weight, start(weight), grid)

    for expected, actual in zip(round_to_nearest("w", gaussian(), grid), first, strict=True):
        assert torch.equal(expected, actual)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_codes_are_what_was_multiplied_by(grid: IntGrid, dtype: torch.dtype) -> None:
    """Dequantized codes equal the weight of the learning step bit for bit, in its dtype."""
    weight = grouped("w", gaussian().to(dtype), grid)
    rounding = learned(weight)

    multiplied_by = fake_quantize(weight, rounding, grid, dtype).detach()

    assert torch.equal(multiplied_by, dequantize(quantize(weight, rounding, grid), dtype))


@pytest.mark.parametrize("iters", [1, 2, 7, 200, 1000])
def test_the_rate_falls_linearly_to_nothing(iters: int) -> None:
    """V can travel (iters + 1) / (2 iters) in all: half a code, and half of one step."""
    how = SignRound(iters=iters)
    rates = [how.rate(step, bits=4) for step in range(iters)]

    assert rates[0] == 1 / iters
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 0
    assert math.fsum(rates) == pytest.approx((iters + 1) / (2 * iters), rel=1e-12)


@pytest.mark.parametrize(
    ("bits", "iters", "first"),
    [(2, 1000, 2e-3), (3, 1000, 2e-3), (4, 1000, 1e-3), (2, 999, 1 / 999), (3, 200, 5e-3)],
)
def test_few_bits_start_twice_as_fast_in_long_runs(bits: int, iters: int, first: float) -> None:
    """2 and 3 bits need more than half a code of travel, and get it from 1000 steps on."""
    assert first == SignRound(iters=iters).rate(0, bits)


def test_an_explicit_rate_is_used_as_it_is() -> None:
    """The default is only a default, also where it would be doubled."""
    assert SignRound(iters=1000, lr=0.25).rate(0, bits=2) == 0.25
    assert SignRound(iters=4, lr=0.25).rate(2, bits=4) == 0.125


@pytest.mark.parametrize(
    ("iters", "points"),
    [(1, {1}), (2, {1, 2}), (3, {2, 3}), (8, {5, 6, 7, 8}), (200, {125, 150, 175, 200})],
)
def test_candidates_are_judged_in_the_second_half(iters: int, points: set[int]) -> None:
    """Evenly spaced, the last step among them, and never before the first."""
    assert points == SignRound(iters=iters).check_points()


def test_one_check_is_the_last_step() -> None:
    """Asking for a single candidate judges the final rounding alone."""
    assert SignRound(iters=100, checks=1).check_points() == frozenset({100})


def test_a_step_moves_by_the_rate_against_the_slope() -> None:
    """Eq. 5: exactly one rate, whatever the slope's size; no slope, no move."""
    weight = grouped("w", gaussian(), IntGrid(group_size=32))
    rounding = start(weight)
    slope = torch.randn(rounding.v_OGS.shape, generator=torch.Generator().manual_seed(3)) * 1e-9
    slope[0] = 0
    rounding.v_OGS.grad = slope.clone()

    sign_step({"w": rounding}, rate=0.125)

    assert torch.equal(-0.125 * slope.sign(), rounding.v_OGS.detach())
    assert rounding.v_OGS.grad is None
    assert rounding.alpha_OG1.unique().tolist() == [1.0]


def test_alpha_and_beta_stay_between_nothing_and_all() -> None:
    """Shares of the range are clamped to 0..1; V is not bounded but by its travel."""
    weight = grouped("w", gaussian(), IntGrid(group_size=32))
    rounding = start(weight)
    for slope, share, v in ((-1.0, 1.0, 3.0), (1.0, 0.0, 0.0), (1.0, 0.0, -3.0)):
        for parameter in rounding:
            parameter.grad = torch.full_like(parameter, slope)

        sign_step({"w": rounding}, rate=3.0)

        assert rounding.alpha_OG1.unique().tolist() == [share]
        assert rounding.beta_OG1.unique().tolist() == [share]
        assert rounding.v_OGS.unique().tolist() == [v]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_broken_weight_is_named(bad: float) -> None:
    """NaN or inf in a weight stops everything, with the tensor's name and the count."""
    weight_OI = gaussian()
    weight_OI[3, 5] = weight_OI[4, 6] = bad

    for refused in (round_to_nearest, grouped):
        with pytest.raises(NonFiniteWeightError, match=r"blocks\.3\.up holds 2 values of 384"):
            refused("blocks.3.up", weight_OI, IntGrid(group_size=32))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_weight_beyond_float16_scales_is_named(grid: IntGrid, sign: float) -> None:
    """A scale above 65504 would be infinite in the file; the error says which weight and why."""
    weight_OI = gaussian()
    weight_OI[3, 5] = sign * 1e9

    for refused in (round_to_nearest, grouped):
        with pytest.raises(WeightRangeError, match=rf"w holds .* 1e\+09: at {grid.bits} bits"):
            refused("w", weight_OI, grid)


def test_the_largest_weight_that_a_scale_reaches_is_kept() -> None:
    """65504 * 8 is the last whole scale of 4 bits; a little more is refused, not written as inf."""
    grid, weight_OI = IntGrid(group_size=32), torch.zeros(1, 32)
    weight_OI[0, 0] = 65504.0 * 8

    assert float(round_to_nearest("w", weight_OI, grid).scale_OG) == -65504.0

    weight_OI[0, 0] = 65520.0 * 8
    with pytest.raises(WeightRangeError):
        round_to_nearest("w", weight_OI, grid)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"iters": -1}, "iters=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"holdout": 0}, "holdout=0"),
        ({"checks": 0}, "checks=0"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"lr": -1.0}, "lr=-1.0"),
        ({"lr": math.nan}, "lr=nan"),
        ({"lr": math.inf}, "lr=inf"),
    ],
)
def test_counts_and_rates_that_mean_nothing_are_refused(asked: dict[str, int], named: str) -> None:
    """The message names the value."""
    with pytest.raises(ScheduleError, match=named):
        SignRound(**asked)


def test_no_share_of_the_range_leaves_finite_weights() -> None:
    """Alpha = beta = 0 is reachable, and gives the smallest scale, not a division by zero."""
    for symmetric in (True, False):
        grid = IntGrid(group_size=32, symmetric=symmetric)
        weight = grouped("w", gaussian(), grid)
        rounding = start(weight)
        nothing = torch.zeros_like(rounding.alpha_OG1)

        step = fit_step(weight.extent, nothing, nothing, grid)
        fake_quantize(weight, rounding._replace(alpha_OG1=nothing), grid, torch.float32)

        assert torch.isfinite(step.scale_OG1).all()
        assert float(step.scale_OG1.abs().min()) > 0
