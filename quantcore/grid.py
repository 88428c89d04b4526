"""The integer grid that a weight is snapped to: scales, zero points, codes.

Source: Cheng et al., "Optimize Weight Rounding via Signed Gradient Descent for the Quantization
of LLMs", arXiv:2309.05516.  A group of weights W with range min..max becomes (eq. 1-4)

    s  = (max(W) * alpha - min(W) * beta) / (2**bits - 1)
    W~ = s * (clip(round(W / s + V) + z, 0, 2**bits - 1) - z)

The symmetric grid differs from the paper, and follows what the format's users run: it is *full
range*.  The weight of largest magnitude lies on the code -2**(bits-1), whichever its sign, so a
group whose extreme is positive has a negative scale, and z = 2**(bits-1).

Shapes, here and in the whole package: O output features, I input features, G groups, S group size
(I == G * S), B samples, T tokens, H hidden size.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from quantcore.errors import GridError, GroupSizeError

BITS = (2, 3, 4, 8)
GROUP_SIZES = (32, 64, 128, -1)
SMALLEST_SCALE = 1e-5  # below it float16 keeps fewer than 8 bits of a step


@dataclass(frozen=True, slots=True, kw_only=True)
class IntGrid:
    """How a weight is cut into groups and how many codes a group has.

    Attributes:
        bits: Width of a code: 2, 3, 4 or 8.
        group_size: Input features that share one scale: 32, 64, 128, or -1 for a whole channel.
        symmetric: Whether the zero point is fixed in the middle.
    """

    bits: int = 4
    group_size: int = 128
    symmetric: bool = True

    def __post_init__(self) -> None:
        """Refuse a grid that no format here can hold.

        Raises:
            GridError: An unknown width or group size.
        """
        if self.bits not in BITS:
            raise GridError(
                f"bits={self.bits} is not a width that can be packed; use one of {BITS}."
            )
        if self.group_size not in GROUP_SIZES:
            raise GridError(
                f"group_size={self.group_size} is not one that kernels know; use one of "
                f"{GROUP_SIZES} (-1: one group per output channel)."
            )

    @property
    def levels(self) -> int:
        """The largest code."""
        return int(2**self.bits - 1)

    @property
    def middle(self) -> int:
        """The zero point of the symmetric grid."""
        return int(2 ** (self.bits - 1))

    def groups(self, features_in: int) -> int:
        """Return G, the number of groups in a row of ``features_in`` weights.

        Raises:
            GroupSizeError: The group size does not divide ``features_in``.
        """
        if self.group_size == -1:
            return 1
        if features_in % self.group_size:
            raise GroupSizeError(features_in=features_in, group_size=self.group_size)
        return features_in // self.group_size

    def split(self, weight_OI: Tensor) -> Tensor:
        """Cut ``[O, I]`` into ``[O, G, S]``.

        Raises:
            GroupSizeError: The group size does not divide the input features.
        """
        features_out, features_in = weight_OI.shape
        return weight_OI.reshape(features_out, self.groups(features_in), -1)


class Range(NamedTuple):
    """The extent of each group, which always spans zero.  Shapes ``[O, G, 1]``, float32."""

    low_OG1: Tensor  # min(W), at most 0
    high_OG1: Tensor  # max(W), at least 0


class Step(NamedTuple):
    """What turns codes into weights.  Shapes ``[O, G, 1]``, float32, both differentiable."""

    scale_OG1: Tensor  # exact in float16
    zero_OG1: Tensor  # a whole number


class QuantizedWeight(NamedTuple):
    """The final codes of one Linear: what is stored, packed and published.

    Invariants: ``codes_OI <= grid.levels``; ``zero_OG >= 1``; no scale is zero; G divides I.
    """

    codes_OI: Tensor  # uint8
    scale_OG: Tensor  # float16, signed
    zero_OG: Tensor  # uint8

    def to(self, device: torch.device) -> "QuantizedWeight":
        """Return the same codes on ``device``."""
        return QuantizedWeight(*(tensor.to(device) for tensor in self))


def round_ste(x: Tensor) -> Tensor:
    """Round to whole numbers, with the gradient of the identity (straight-through)."""
    return x + (x.round() - x).detach()


def to_half_ste(x: Tensor) -> Tensor:
    """Snap float32 to values that float16 holds, with the gradient of the identity.

    The sum is exact: a number and its float16 neighbour are within a factor of two of each other
    (Sterbenz), or the neighbour is zero.  Beyond 65504 the result is infinite.
    """
    return x + (x.half().float() - x).detach()


def clip(x: Tensor, low: float, high: float) -> Tensor:
    """Clip to ``low`` … ``high``; the slope is 1 between the ends and on them, 0 beyond.

    `torch.clamp` has the same values, but its slope on the ends, where the extreme of every group
    lies, is 1 in older releases and 0 in torch 2.14.
    """
    return torch.where((x >= low) & (x <= high), x, x.detach().clamp(low, high))


def range_of(weight_OGS: Tensor) -> Range:
    """Return the extent of each group, widened to hold zero."""
    low_OG1 = weight_OGS.amin(dim=-1, keepdim=True)  # twice as fast as aminmax on a CPU
    high_OG1 = weight_OGS.amax(dim=-1, keepdim=True)
    return Range(low_OG1.float().clamp(max=0), high_OG1.float().clamp(min=0))


def fit_step(extent: Range, alpha_OG1: Tensor, beta_OG1: Tensor, grid: IntGrid) -> Step:
    """Return scale and zero point of each group (eq. 4; alpha shrinks max, beta shrinks min).

    Gradients reach alpha and beta through the side that decides the range.
    """
    low_OG1, high_OG1 = extent.low_OG1 * beta_OG1, extent.high_OG1 * alpha_OG1
    if grid.symmetric:
        return _full_range_step(low_OG1, high_OG1, grid)
    scale_OG1 = clip(to_half_ste((high_OG1 - low_OG1) / grid.levels), _SMALLEST_HALF, math.inf)
    # GPTQ's layout stores z - 1 without a sign, and z = 0 would borrow from the next code's bits.
    zero_OG1 = clip(round_ste(-low_OG1 / scale_OG1), 1, grid.levels)
    return Step(scale_OG1, zero_OG1)


def _full_range_step(low_OG1: Tensor, high_OG1: Tensor, grid: IntGrid) -> Step:
    """Put the weight of largest magnitude on code -2**(bits-1) (differs from the paper)."""
    deepest_OG1, highest_OG1 = -low_OG1, high_OG1
    sign_OG1 = torch.where(highest_OG1 < deepest_OG1, 1.0, -1.0)
    extreme_OG1 = sign_OG1 * torch.maximum(deepest_OG1, highest_OG1)
    scale_OG1 = to_half_ste(extreme_OG1 / grid.middle)
    scale_OG1 = torch.where(
        scale_OG1 < 0,
        clip(scale_OG1, -math.inf, -_SMALLEST_HALF),
        clip(scale_OG1, _SMALLEST_HALF, math.inf),
    )
    return Step(scale_OG1, torch.full_like(scale_OG1, grid.middle))


_SMALLEST_HALF = float(torch.tensor(SMALLEST_SCALE).half())  # 1e-5 as float16 holds it


def dequantize(weight: QuantizedWeight, dtype: torch.dtype) -> Tensor:
    """Return W~ ``[O, I]``: exactly what an INT4 kernel multiplies by, in ``dtype``."""
    codes_OGS = weight.codes_OI.view(*weight.scale_OG.shape, -1).float()
    zero_OG1, scale_OG1 = weight.zero_OG[..., None].float(), weight.scale_OG[..., None].float()
    return ((codes_OGS - zero_OG1) * scale_OG1).flatten(1).to(dtype)
