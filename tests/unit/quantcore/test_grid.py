"""A grid says which codes a weight can have; these tests pin each choice that readers rely on."""

import pytest
import torch
from torch import Tensor

from quantcore.errors import GridError, GroupSizeError, QuantcoreError
from quantcore.grid import (
    BITS,
    GROUP_SIZES,
    IntGrid,
    clip,
    dequantize,
    fit_step,
    range_of,
    round_ste,
    to_half_ste,
)
from quantcore.signround import round_to_nearest

FLOOR = float(torch.tensor(1e-5).half())


def gaussian(rows: int, columns: int, *, seed: int = 0) -> Tensor:
    """Return a random weight of the usual size."""
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 0.02


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("group_size", GROUP_SIZES)
def test_the_largest_weight_lies_on_code_zero(bits: int, group_size: int) -> None:
    """Full range: the extreme of each group is code 0, -2**(bits-1) when signed, either sign."""
    grid = IntGrid(bits=bits, group_size=group_size)
    weight_OGS = grid.split(gaussian(64, 256))

    codes_OGS = round_to_nearest("w", weight_OGS.flatten(1), grid).codes_OI.view(weight_OGS.shape)

    extreme_OG1 = weight_OGS.abs().argmax(-1, keepdim=True)
    assert int(codes_OGS.gather(-1, extreme_OG1).max()) == 0
    assert {-1.0, 1.0} == set(weight_OGS.gather(-1, extreme_OG1).sign().unique().tolist())


def test_a_positive_extreme_gives_a_negative_scale() -> None:
    """The sign of the scale, and not a spare code, decides which side is deep."""
    weight_OI = torch.zeros(2, 32)
    weight_OI[0, 3], weight_OI[0, 4] = 0.5, -0.25
    weight_OI[1, 3], weight_OI[1, 4] = -0.5, 0.25

    quantized = round_to_nearest("w", weight_OI, IntGrid(group_size=32))

    assert quantized.scale_OG.flatten().tolist() == [-0.0625, 0.0625]
    assert quantized.codes_OI[:, 3:6].tolist() == [[0, 12, 8], [0, 12, 8]]


def test_equal_extremes_take_the_negative_scale() -> None:
    """A tie between the two sides has one answer, the one of the format's other writers."""
    weight_OI = torch.zeros(1, 32)
    weight_OI[0, 0], weight_OI[0, 1] = 1.0, -1.0

    quantized = round_to_nearest("w", weight_OI, IntGrid(group_size=32))

    assert float(quantized.scale_OG) == -0.125
    assert quantized.codes_OI[0, :2].tolist() == [0, 15]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", BITS)
def test_what_is_stored_has_the_stored_types(bits: int, *, symmetric: bool) -> None:
    """Codes and zero points are uint8 within the grid, scales float16, groups along the input."""
    grid = IntGrid(bits=bits, group_size=64, symmetric=symmetric)

    codes_OI, scale_OG, zero_OG = round_to_nearest("w", gaussian(8, 192), grid)

    assert (torch.uint8, (8, 192)) == (codes_OI.dtype, codes_OI.shape)
    assert (torch.float16, (8, 3)) == (scale_OG.dtype, scale_OG.shape)
    assert (torch.uint8, (8, 3)) == (zero_OG.dtype, zero_OG.shape)
    assert int(codes_OI.max()) <= grid.levels
    assert 1 <= int(zero_OG.min()) <= int(zero_OG.max()) <= grid.levels


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", BITS)
def test_no_weight_moves_by_more_than_half_a_step(bits: int, *, symmetric: bool) -> None:
    """Round-to-nearest is the nearest code, but for the one end that the grid does not reach."""
    grid = IntGrid(bits=bits, group_size=32, symmetric=symmetric)
    weight_OI = gaussian(16, 128)

    quantized = round_to_nearest("w", weight_OI, grid)

    moved_OGS = grid.split((dequantize(quantized, torch.float32) - weight_OI).abs())
    steps_OGS = moved_OGS / quantized.scale_OG.float().abs()[..., None]
    codes_OGS = grid.split(quantized.codes_OI)
    inner = (codes_OGS > 0) & (codes_OGS < grid.levels)
    assert float(steps_OGS[inner].max()) <= 0.5 + 1e-4
    assert float(steps_OGS.max()) <= 1.0 + 1e-2  # the far end, and the rounding of the scale


def test_a_group_of_zeros_stays_zero() -> None:
    """A dead group has the smallest scale and decodes to exact zeros, on both grids."""
    for symmetric in (True, False):
        quantized = round_to_nearest(
            "w", torch.zeros(2, 64), IntGrid(group_size=32, symmetric=symmetric)
        )

        assert quantized.scale_OG.float().unique().tolist() == [FLOOR]
        assert dequantize(quantized, torch.float32).unique().tolist() == [0.0]


@pytest.mark.parametrize("size", [1e-5, 1e-9, 1e-30])
@pytest.mark.parametrize("symmetric", [True, False])
def test_tiny_weights_never_get_a_zero_scale(size: float, *, symmetric: bool) -> None:
    """A scale of zero would turn the reader's weights into NaN, so scales stop at 1e-5."""
    weight_OI = gaussian(4, 64) / 0.02 * size

    quantized = round_to_nearest("w", weight_OI, IntGrid(group_size=32, symmetric=symmetric))

    assert float(quantized.scale_OG.float().abs().min()) == FLOOR
    assert torch.isfinite(dequantize(quantized, torch.float32)).all()


def test_the_smallest_scale_keeps_its_sign() -> None:
    """Just above the threshold a scale is what the weights ask for, below it the threshold."""
    above, below = FLOOR * 8 * 2, FLOOR * 8 / 2
    weight_OI = torch.zeros(4, 32)
    weight_OI[:, 0] = torch.tensor([above, -above, below, -below])

    scale_OG = round_to_nearest("w", weight_OI, IntGrid(group_size=32)).scale_OG

    assert scale_OG.float().flatten().tolist() == [-2 * FLOOR, 2 * FLOOR, -FLOOR, FLOOR]


def test_only_positive_weights_keep_a_zero_point_of_one() -> None:
    """GPTQ's layout stores zero - 1 without a sign, so a zero point of 0 cannot be written."""
    weight_OI = torch.linspace(0.1, 1.5, 32)[None]

    quantized = round_to_nearest("w", weight_OI, IntGrid(group_size=32, symmetric=False))

    assert int(quantized.zero_OG) == 1
    assert int(quantized.codes_OI.max()) == 15


def test_only_negative_weights_reach_the_last_zero_point() -> None:
    """The asymmetric range always holds zero, so that zeros stay exact."""
    weight_OI = -torch.linspace(0.0, 1.5, 32)[None]

    quantized = round_to_nearest("w", weight_OI, IntGrid(group_size=32, symmetric=False))

    assert int(quantized.zero_OG) == 15
    assert float(dequantize(quantized, torch.float32)[0, 0]) == 0.0


def test_alpha_shrinks_the_upper_and_beta_the_lower_range() -> None:
    """Eq. 4: the scale spans max(W) * alpha - min(W) * beta, zero included."""
    weight_OGS = torch.tensor([[[-3.0, 0.0, 12.0]]])
    half, whole = torch.full((1, 1, 1), 0.5), torch.ones(1, 1, 1)
    grid = IntGrid(symmetric=False)

    upper = fit_step(range_of(weight_OGS), half, whole, grid)
    lower = fit_step(range_of(weight_OGS), whole, half, grid)

    assert float(torch.tensor(9.0 / 15).half()) == float(upper.scale_OG1)
    assert float(torch.tensor(13.5 / 15).half()) == float(lower.scale_OG1)


def test_the_range_of_a_group_holds_zero() -> None:
    """A group on one side of zero is widened to it; bf16 weights give float32 ranges."""
    low, high = range_of(torch.tensor([[[0.5, 2.0]], [[-2.0, -0.5]]], dtype=torch.bfloat16))

    assert low.flatten().tolist() == [0.0, -2.0]
    assert high.flatten().tolist() == [2.0, 0.0]
    assert torch.float32 == low.dtype == high.dtype


def test_straight_through_rounding_keeps_the_gradient() -> None:
    """Both roundings give exact values and the slope of the identity."""
    x = torch.tensor([0.3, 1e-5, -7.77777, 1e-9], requires_grad=True)

    for rounded, expected in ((round_ste(x), x.round()), (to_half_ste(x), x.half().float())):
        (slope,) = torch.autograd.grad(rounded.sum(), x)
        assert expected.tolist() == rounded.tolist()
        assert slope.tolist() == [1.0] * 4


def test_clipping_has_a_slope_on_its_ends() -> None:
    """The extreme of each group lies on an end, where torch.clamp's slope differs by release."""
    x = torch.tensor([-1.0, 0.0, 7.0, 15.0, 16.0], requires_grad=True)

    clipped = clip(x, 0, 15)
    (slope,) = torch.autograd.grad(clipped.sum(), x)

    assert clipped.tolist() == [0, 0, 7, 15, 15]
    assert slope.tolist() == [0, 1, 1, 1, 0]


def test_dequantize_is_scale_times_code_minus_zero() -> None:
    """What a kernel multiplies by, in the dtype that was asked for."""
    grid = IntGrid(group_size=32, symmetric=False)
    quantized = round_to_nearest("w", gaussian(4, 64), grid)

    by_hand = torch.stack(
        [
            (quantized.codes_OI[:, i].float() - quantized.zero_OG[:, i // 32].float())
            * quantized.scale_OG[:, i // 32].float()
            for i in range(64)
        ],
        dim=1,
    )

    assert torch.equal(by_hand, dequantize(quantized, torch.float32))
    assert torch.equal(by_hand.bfloat16(), dequantize(quantized, torch.bfloat16))


def test_a_weight_may_be_a_slice_of_another() -> None:
    """Fused projections are cut into views; a view quantizes as its copy does."""
    wide = gaussian(64, 64)
    grid = IntGrid(group_size=32)

    view, copy = wide.t()[:32], wide.t()[:32].contiguous()

    assert torch.equal(
        round_to_nearest("w", copy, grid).codes_OI, round_to_nearest("w", view, grid).codes_OI
    )


@pytest.mark.parametrize("bits", [-4, 0, 1, 5, 16])
def test_bits_that_cannot_be_packed_are_refused(bits: int) -> None:
    """The message names the value and what would do."""
    with pytest.raises(GridError, match=rf"bits={bits} .* use one of \(2, 3, 4, 8\)"):
        IntGrid(bits=bits)


@pytest.mark.parametrize("group_size", [0, -2, 16, 100, 256])
def test_group_sizes_that_no_kernel_knows_are_refused(group_size: int) -> None:
    """The message names the value and what would do."""
    with pytest.raises(GridError, match=rf"group_size={group_size} .* use one of"):
        IntGrid(group_size=group_size)


def test_a_group_size_that_does_not_divide_says_which_would() -> None:
    """The remedy is in the message: the sizes that fit, or that only -1 does."""
    with pytest.raises(GroupSizeError, match=r"group_size=128 .*in_features=96 .*\[32\]"):
        IntGrid(group_size=128).groups(96)
    with pytest.raises(GroupSizeError, match="none of 32, 64, 128"):
        IntGrid(group_size=32).groups(50)

    assert IntGrid(group_size=-1).groups(50) == 1


def test_every_error_is_a_quantcore_error() -> None:
    """One class catches all that the engine raises on purpose."""
    assert issubclass(GroupSizeError, GridError)
    assert issubclass(GridError, QuantcoreError)
    assert issubclass(GridError, ValueError)


def test_ties_round_to_even_before_the_zero_point_is_added() -> None:
    """With an odd zero point the order shows: 0.5 goes to 0 and 1.5 to 2, wherever zero lies."""
    weight_OI = torch.zeros(1, 32)
    weight_OI[0, :5] = torch.tensor([-7.0, 8.0, 0.5, 1.5, -0.5])

    quantized = round_to_nearest("w", weight_OI, IntGrid(group_size=32, symmetric=False))

    assert (float(quantized.scale_OG), int(quantized.zero_OG)) == (1.0, 7)
    assert quantized.codes_OI[0, :5].tolist() == [0, 15, 7, 9, 7]
