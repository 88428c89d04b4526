"""Learn on from a rounding that was found before: the start gives its codes and scales, to the bit.

Segments are learned on the 16-bit model's own activations.  What the segments before one really
give differs, so at each seam a block is tuned once more, on true inputs, from where it was.

The range of a group becomes the one that the found scale and zero point stand for, so the shares
alpha and beta start anew from 1.  V starts at 0 wherever the weight falls on its found code by
itself, and elsewhere just inside that code's cell: what a weight had to be pushed over stays the
easiest to push back.
"""

import math

import torch

from quantcore.grid import IntGrid, QuantizedWeight, Range, Step, fit_step
from quantcore.signround import GroupedWeight, Rounding

INSIDE = 1 / 16  # of a code: how far from the edge of a cell a pushed weight starts


@torch.no_grad()
def start_from(
    weight: GroupedWeight, found: QuantizedWeight, grid: IntGrid
) -> tuple[GroupedWeight, Rounding]:
    """Return a weight and a rounding at which `signround.quantize` gives ``found``.

    Args:
        weight: The 16-bit weight.
        found: Any codes of it on ``grid``, on its device.
        grid: What it is snapped to.
    """
    extent = range_of_codes(found, grid)
    whole_OG1 = torch.ones_like(extent.low_OG1)
    step = fit_step(extent, whole_OG1, whole_OG1, grid)
    rounding = Rounding(
        _offsets(weight, found, step, grid).requires_grad_(),
        whole_OG1.requires_grad_(),
        torch.ones_like(whole_OG1).requires_grad_(),
    )
    return GroupedWeight(weight.weight_OGS, extent), rounding


def range_of_codes(found: QuantizedWeight, grid: IntGrid) -> Range:
    """Return the range for which `grid.fit_step` gives the found scale and zero point exactly.

    Exactly, because a float16 scale times a code is exact in float32.  On a symmetric grid one end
    alone decides the scale, and the other is left at zero.
    """
    scale_OG1, zero_OG1 = found.scale_OG[..., None].float(), found.zero_OG[..., None].float()
    lowest_OG1 = -zero_OG1 * scale_OG1
    if grid.symmetric:
        return Range(lowest_OG1.clamp(max=0), lowest_OG1.clamp(min=0))
    return Range(lowest_OG1, (grid.levels - zero_OG1) * scale_OG1)


def _offsets(
    weight: GroupedWeight, found: QuantizedWeight, step: Step, grid: IntGrid
) -> torch.Tensor:
    """Return the smallest V with which each weight falls inside the cell of its code.

    The cells of the lowest and of the highest code have no outer edge.
    """
    code_OGS = found.codes_OI.view_as(weight.weight_OGS)
    middle_OGS = code_OGS.float() - step.zero_OG1
    reach = 0.5 - INSIDE
    low_OGS = (middle_OGS - reach).masked_fill_(code_OGS == 0, -math.inf)
    high_OGS = (middle_OGS + reach).masked_fill_(code_OGS == grid.levels, math.inf)
    at_OGS = weight.weight_OGS / step.scale_OG1
    return torch.clamp(at_OGS, low_OGS, high_OGS).sub_(at_OGS)
