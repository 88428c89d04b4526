"""Our grid and the peer's are the same arithmetic: the same codes, scales and weights, bit for bit.

The peer is auto-round, whose symmetric INT4 is what the published checkpoints are made with.  In
its names `max_scale` is our alpha, the share of the upper range that is kept, and `min_scale` our
beta.  It hands no codes out; they follow from its weights and scales, as all three are exact.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from auto_round.data_type.int import quant_tensor_asym, quant_tensor_sym
from torch import Tensor

from quantcore.grid import IntGrid, QuantizedWeight, dequantize
from quantcore.signround import (
    GroupedWeight,
    Rounding,
    fake_quantize,
    grouped,
    quantize,
    round_to_nearest,
)

ROWS, FEATURES = 48, 384
GRIDS = [
    IntGrid(bits=bits, group_size=group_size)
    for bits in (2, 3, 4, 8)
    for group_size in (32, 64, 128, -1)
]
DTYPES = [torch.float32, torch.bfloat16]
every_grid = pytest.mark.parametrize("grid", GRIDS, ids=lambda g: f"w{g.bits}g{g.group_size}")
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["fp32", "bf16"])


@dataclass(frozen=True, slots=True)
class Draw:
    """A weight and a point of the search, as SignRound meets them halfway."""

    weight: Tensor  # [O, I]
    rounding: Rounding

    def grouped(self, grid: IntGrid) -> GroupedWeight:
        """Return the weight cut into groups."""
        return grouped("weight", self.weight, grid)


def draw(grid: IntGrid, dtype: torch.dtype, seed: int) -> Draw:
    """Draw a weight with rows of very different size, one of zeros, and a random rounding."""
    generator = torch.Generator().manual_seed(seed)
    weight_OI = torch.randn(ROWS, FEATURES, generator=generator)
    weight_OI *= torch.logspace(-7, 1, ROWS)[:, None]
    weight_OI[3] = 0
    weight_OI[5] = weight_OI[5].abs()
    weight_OI[7] = -weight_OI[7].abs()
    groups = grid.groups(FEATURES)
    v_OGS = torch.rand(ROWS, groups, FEATURES // groups, generator=generator) - 0.5
    alpha_OG1, beta_OG1 = torch.rand(2, ROWS, groups, 1, generator=generator)
    leaves = (leaf.clone().requires_grad_() for leaf in (v_OGS, alpha_OG1, beta_OG1))
    return Draw(weight_OI.to(dtype), Rounding(*leaves))


def peers_weight(
    function: Callable[..., tuple[Tensor, Tensor, Tensor | int]], drawn: Draw, grid: IntGrid
) -> tuple[Tensor, Tensor, Tensor | int]:
    """Return W~ [O, I], scale [O, G] and zero point as the peer computes them."""
    v_OGS, alpha_OG1, beta_OG1 = drawn.rounding
    weight_OI, scale, zero = function(
        drawn.weight,
        bits=grid.bits,
        group_size=grid.group_size,
        v=v_OGS.flatten(0, 1),
        min_scale=beta_OG1.flatten(),
        max_scale=alpha_OG1.flatten(),
    )
    return weight_OI, scale.view(ROWS, -1), zero


def bits_of(tensor: Tensor) -> Tensor:
    """Return a tensor's bits, so that -0.0 and 0.0 differ."""
    return tensor.detach().contiguous().view(torch.uint8)


def assert_same_bits(expected: Tensor, actual: Tensor) -> None:
    """Fail unless both hold the same values in the same dtype, but for the sign of zero."""
    assert expected.dtype == actual.dtype
    assert torch.equal(bits_of(expected + 0.0), bits_of(actual + 0.0))


@every_grid
@every_dtype
@pytest.mark.parametrize("seed", range(3))
def test_symmetric_weights_and_scales_are_the_peers(
    grid: IntGrid, dtype: torch.dtype, seed: int
) -> None:
    """At any point of the search, W~ and its scales equal `quant_tensor_sym`'s."""
    drawn = draw(grid, dtype, seed)
    expected_OI, scale_OG, zero = peers_weight(quant_tensor_sym, drawn, grid)

    actual_OI = fake_quantize(drawn.grouped(grid), drawn.rounding, grid, dtype)
    codes = quantize(drawn.grouped(grid), drawn.rounding, grid)

    assert_same_bits(expected_OI, actual_OI)
    assert_same_bits(scale_OG, codes.scale_OG)
    assert (codes.zero_OG == zero).all()


@every_grid
@every_dtype
def test_symmetric_codes_are_the_peers(grid: IntGrid, dtype: torch.dtype) -> None:
    """The codes we pack are those that the peer's packer finds in its weights: W~ / s + z."""
    drawn = draw(grid, dtype, seed=11)
    wide = Draw(drawn.weight.float(), drawn.rounding)  # in float32 W~ / s is exact
    expected_OI, scale_OG, zero = peers_weight(quant_tensor_sym, wide, grid)
    size = FEATURES // grid.groups(FEATURES)
    expected_codes_OI = (expected_OI / scale_OG.float().repeat_interleave(size, 1)).round() + zero

    codes = quantize(drawn.grouped(grid), drawn.rounding, grid)

    assert torch.equal(expected_codes_OI, codes.codes_OI.float())
    assert_same_bits(dequantize(codes, dtype), peers_weight(quant_tensor_sym, drawn, grid)[0])


@every_grid
@every_dtype
def test_round_to_nearest_is_the_peers(grid: IntGrid, dtype: torch.dtype) -> None:
    """Without a search, both start from the same weights."""
    weight_OI = draw(grid, dtype, seed=5).weight
    expected_OI, scale, _ = quant_tensor_sym(weight_OI, grid.bits, grid.group_size)

    nearest = round_to_nearest("weight", weight_OI, grid)

    assert_same_bits(expected_OI, dequantize(nearest, dtype))
    assert_same_bits(scale.view(ROWS, -1), nearest.scale_OG)


@every_grid
@every_dtype
def test_asymmetric_weights_are_the_peers_where_the_layout_can_hold_them(
    grid: IntGrid, dtype: torch.dtype
) -> None:
    """Equal wherever the peer's zero point is 1 or more; the packed layout has no 0.

    Nor has the peer's packer: it clips there, and ships other weights than it has learned.
    """
    asymmetric = IntGrid(bits=grid.bits, group_size=grid.group_size, symmetric=False)
    drawn = draw(asymmetric, dtype, seed=2)
    expected_OI, scale_OG, zero = peers_weight(quant_tensor_asym, drawn, asymmetric)
    storable_OG = (zero.view(ROWS, -1) >= 1) & (zero.view(ROWS, -1) <= asymmetric.levels)

    codes: QuantizedWeight = quantize(drawn.grouped(asymmetric), drawn.rounding, asymmetric)

    shape_OGS = (*scale_OG.shape, -1)
    expected_OGS = expected_OI.view(shape_OGS)
    actual_OGS = dequantize(codes, dtype).view(shape_OGS)
    assert_same_bits(scale_OG, codes.scale_OG)
    assert storable_OG.float().mean() > 0.5
    assert_same_bits(expected_OGS[storable_OG], actual_OGS[storable_OG])


@every_grid
@every_dtype
def test_both_descend_the_same_way_inside_the_grid(grid: IntGrid, dtype: torch.dtype) -> None:
    """The slopes of V are equal bit for bit wherever a code is not the first or the last.

    There the peer has what `torch.clamp` gives: the slope up to torch 2.13, nothing from 2.14 on.
    Ours is written by hand, and is the slope with every torch: a weight on the edge can come back.
    """
    drawn, same = draw(grid, dtype, seed=9), draw(grid, dtype, seed=9)
    slope_OI = torch.randn(ROWS, FEATURES, generator=torch.Generator().manual_seed(1)).to(dtype)
    weight_OI, _, _ = peers_weight(quant_tensor_sym, drawn, grid)
    weight_OI.backward(slope_OI)

    fake_quantize(same.grouped(grid), same.rounding, grid, dtype).backward(slope_OI)

    codes_OI = quantize(same.grouped(grid), same.rounding, grid).codes_OI
    inside_OGS = grid.split((codes_OI > 0) & (codes_OI < grid.levels))
    expected, actual = drawn.rounding.v_OGS.grad, same.rounding.v_OGS.grad
    assert inside_OGS.any()
    assert_same_bits(expected[inside_OGS], actual[inside_OGS])
