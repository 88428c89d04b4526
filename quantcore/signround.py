"""SignRound: learn which way to round each weight, by signed gradient descent.

Source: Cheng et al., arXiv:2309.05516.  Around the grid of `quantcore.grid` three things are
learned about each weight matrix: V, an offset within a code (eq. 3), and alpha and beta, the shares
of the upper and lower range that are kept (eq. 4).  They start as plain round-to-nearest, and move
by the sign of their gradient alone (eq. 5), with a rate that falls linearly to nothing.

V needs no bound of its own: with the default rate of 1/iters it travels (iters + 1) / (2 * iters)
at most, so it keeps to the paper's ±0.5 but for half of one step.

The gradient is written by hand (`_SnapToGrid`).  Autograd would keep W / s, its rounded and its
clipped copy for each Linear until the backward pass; here they are computed again, and a block of
a 7B model needs 2.8 GB less.  A test holds it against autograd's own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import Function

from quantcore.errors import NonFiniteWeightError, ScheduleError, WeightRangeError
from quantcore.grid import IntGrid, QuantizedWeight, Range, Step, fit_step, range_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SignRound:
    """How long and how fast to learn.

    Attributes:
        iters: Steps of sign descent; 0 is round-to-nearest.
        batch_size: Samples a step.
        lr: First rate of V (in codes), alpha and beta; None for 1/iters (`rate` says when twice).
        seed: Key of every draw.
        holdout: Samples, at most an eighth of the set, on which candidates are judged.
        checks: How many candidates are judged, evenly spaced over the second half of the steps.
    """

    iters: int = 1000
    batch_size: int = 8
    lr: float | None = None
    seed: int = 42
    holdout: int = 32
    checks: int = 4

    def __post_init__(self) -> None:
        """Refuse counts that mean nothing.

        Raises:
            ScheduleError: A negative count, or a rate that is not positive and finite.
        """
        if self.iters < 0 or min(self.batch_size, self.holdout, self.checks) < 1:
            raise ScheduleError(
                f"iters={self.iters} must be 0 or more, and batch_size={self.batch_size}, "
                f"holdout={self.holdout} and checks={self.checks} at least 1."
            )
        if self.lr is not None and not 0 < self.lr < math.inf:
            raise ScheduleError(f"lr={self.lr} must be above 0 and finite, or None for 1/iters.")

    def rate(self, iteration: int, bits: int) -> float:
        """Return the rate of one step: linear from the first to nothing.

        Few bits need room to cross more than half a code, so from 1000 steps on 2 and 3 bits start
        at twice the rate.
        """
        doubled = bits <= 3 and self.iters >= 1000  # noqa: PLR2004 -- as published
        first = self.lr if self.lr is not None else (2.0 if doubled else 1.0) / self.iters
        return first * (1 - iteration / self.iters)

    def check_points(self) -> frozenset[int]:
        """Return after how many steps a candidate is judged; the last step always is one."""
        half = self.iters / 2
        return frozenset(
            self.iters - round(half * check / self.checks) for check in range(self.checks)
        )


class Rounding(NamedTuple):
    """What is learned about one weight, all float32 leaves.  It starts as round-to-nearest."""

    v_OGS: Tensor  # V: offset in codes, starts at 0
    alpha_OG1: Tensor  # share of max(W) that is kept, in 0..1, starts at 1
    beta_OG1: Tensor  # share of min(W) that is kept, in 0..1, starts at 1


@dataclass(frozen=True, slots=True)
class GroupedWeight:
    """A weight cut into groups, with the extents that never change while it is learned."""

    weight_OGS: Tensor  # the source's dtype
    extent: Range


def grouped(name: str, weight_OI: Tensor, grid: IntGrid) -> GroupedWeight:
    """Cut a weight into groups, and refuse one that no rounding can hold.

    Raises:
        GroupSizeError: The group size does not divide the input features.
        NonFiniteWeightError: The weight holds NaN or inf.
        WeightRangeError: A scale would not fit float16.
    """
    weight_OGS = grid.split(weight_OI)
    weight = GroupedWeight(weight_OGS, range_of(weight_OGS))
    # NaN and infinity pass into the extent of their group, which is a hundred times smaller.
    if not all(torch.isfinite(bound_OG1).all() for bound_OG1 in weight.extent):
        broken = weight_OI.numel() - int(torch.isfinite(weight_OI).sum())
        raise NonFiniteWeightError(name=name, count=broken, total=weight_OI.numel())
    # alpha and beta only ever shrink a range, so what fits here fits at every step.
    if not torch.isfinite(_nearest_step(weight, grid).scale_OG1).all():
        largest = float(weight_OI.abs().max())
        raise WeightRangeError(name=name, largest=largest, bits=grid.bits)
    return weight


def start(weight: GroupedWeight) -> Rounding:
    """Return V = 0 and alpha = beta = 1: round-to-nearest, ready to be learned."""
    shape_OG1 = weight.extent.low_OG1
    return Rounding(
        torch.zeros_like(weight.weight_OGS, dtype=torch.float32).requires_grad_(),
        torch.ones_like(shape_OG1).requires_grad_(),
        torch.ones_like(shape_OG1).requires_grad_(),
    )


def fake_quantize(
    weight: GroupedWeight, rounding: Rounding, grid: IntGrid, dtype: torch.dtype
) -> Tensor:
    """Return W~ ``[O, I]`` in ``dtype``, differentiable in V, alpha and beta (eq. 3 and 4)."""
    step = fit_step(weight.extent, rounding.alpha_OG1, rounding.beta_OG1, grid)
    snapped_OGS = _SnapToGrid.apply(weight.weight_OGS, rounding.v_OGS, *step, grid.levels)
    return snapped_OGS.flatten(1).to(dtype)  # type: ignore[no-any-return]


@torch.no_grad()
def quantize(weight: GroupedWeight, rounding: Rounding, grid: IntGrid) -> QuantizedWeight:
    """Return the codes that `fake_quantize` multiplies by, never re-derived from W~."""
    step = fit_step(weight.extent, rounding.alpha_OG1, rounding.beta_OG1, grid)
    return _codes(weight, rounding.v_OGS, step, grid)


@torch.no_grad()
def round_to_nearest(name: str, weight_OI: Tensor, grid: IntGrid) -> QuantizedWeight:
    """Quantize without learning: the rounding that SignRound starts from.

    Raises:
        GroupSizeError: The group size does not divide the input features.
        NonFiniteWeightError: The weight holds NaN or inf.
        WeightRangeError: A scale would not fit float16.
    """
    weight = grouped(name, weight_OI, grid)
    return _codes(weight, 0.0, _nearest_step(weight, grid), grid)


@torch.no_grad()
def sign_step(roundings: Mapping[str, Rounding], rate: float) -> None:
    """Move every parameter by ``rate`` against the sign of its slope (eq. 5), and forget the slope.

    In place: a block of a 7B model holds 0.9 GB of V.
    """
    for rounding in roundings.values():
        for parameter in rounding:
            if parameter.grad is not None:
                parameter.sub_(parameter.grad.sign_(), alpha=rate)
                parameter.grad = None
        rounding.alpha_OG1.clamp_(0, 1)
        rounding.beta_OG1.clamp_(0, 1)


def _nearest_step(weight: GroupedWeight, grid: IntGrid) -> Step:
    """Return the step that keeps the whole range: alpha = beta = 1."""
    whole_OG1 = torch.ones_like(weight.extent.low_OG1)
    return fit_step(weight.extent, whole_OG1, whole_OG1, grid)


def _unclipped(weight_OGS: Tensor, v_OGS: Tensor | float, step: Step) -> Tensor:
    """Return round(W / s + V) + z before it is clipped to the grid."""
    return (weight_OGS / step.scale_OG1).add_(v_OGS).round_().add_(step.zero_OG1)


def _codes(
    weight: GroupedWeight, v_OGS: Tensor | float, step: Step, grid: IntGrid
) -> QuantizedWeight:
    """Snap a weight to its grid and keep the whole numbers."""
    codes_OGS = _unclipped(weight.weight_OGS, v_OGS, step).clamp_(0, grid.levels)
    return QuantizedWeight(
        codes_OGS.to(torch.uint8).flatten(1),
        step.scale_OG1.squeeze(-1).half(),
        step.zero_OG1.squeeze(-1).to(torch.uint8),
    )


class _SnapToGrid(Function):
    """W~ = s * (clip(round(W / s + V) + z, 0, levels) - z), rounding straight through.

    With t = W / s, k the clipped code and m = 1 where nothing was clipped:
    dW~/dV = s m,  dW~/ds = (k - z) - t m,  dW~/dz = s (m - 1).
    """

    @staticmethod
    def forward(
        ctx: Any,
        weight_OGS: Tensor,
        v_OGS: Tensor,
        scale_OG1: Tensor,
        zero_OG1: Tensor,
        levels: int,
    ) -> Tensor:
        """Return W~ in float32."""
        ctx.save_for_backward(weight_OGS, v_OGS, scale_OG1, zero_OG1)
        ctx.levels = levels
        code_OGS = _unclipped(weight_OGS, v_OGS, Step(scale_OG1, zero_OG1))
        return code_OGS.clamp_(0, levels).sub_(zero_OG1).mul_(scale_OG1)

    @staticmethod
    def backward(ctx: Any, slope_OGS: Tensor) -> tuple[Tensor | None, ...]:
        """Return the slopes of V, scale and zero point."""
        weight_OGS, v_OGS, scale_OG1, zero_OG1 = ctx.saved_tensors
        code_OGS = _unclipped(weight_OGS, v_OGS, Step(scale_OG1, zero_OG1))
        inside_OGS = (code_OGS >= 0) & (code_OGS <= ctx.levels)
        d_zero_OG1 = None
        if ctx.needs_input_grad[3]:
            d_zero_OG1 = -(slope_OGS * ~inside_OGS).sum(-1, keepdim=True) * scale_OG1
        code_OGS.clamp_(0, ctx.levels).sub_(zero_OG1)
        code_OGS.sub_((weight_OGS / scale_OG1).mul_(inside_OGS))
        d_scale_OG1 = code_OGS.mul_(slope_OGS).sum(-1, keepdim=True)
        d_v_OGS = (slope_OGS * inside_OGS).mul_(scale_OG1)
        return None, d_v_OGS, d_scale_OG1, d_zero_OG1, None
