"""The real grid against the slow, obvious one: the same codes for whatever weights there are.

Weights, offsets and shares are short binary fractions, so that both engines start from the same
numbers.  Only W / s + V may differ in float32's last bits; where it is within a hair of a half,
both neighbouring codes are right.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st

from quantcore.grid import BITS, IntGrid, QuantizedWeight, dequantize
from quantcore.reference import quantize_group
from quantcore.signround import Rounding, fake_quantize, grouped, quantize, round_to_nearest

SIZE = 32
HAIR = 1e-4  # in codes: far above float32's error in W / s + V, far below a code


class Group(NamedTuple):
    """One group of weights, and what was learned about it."""

    weights: list[float]
    offsets: list[float]
    alpha: float
    beta: float


def fractions(largest: int, parts: int) -> st.SearchStrategy[float]:
    """Draw whole numbers of 1 / ``parts``, either sign."""
    return st.integers(-largest, largest).map(lambda whole: whole / parts)


def lists(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[list[float]]:
    """Draw a number for each weight of a group."""
    return st.lists(numbers, min_size=SIZE, max_size=SIZE)


@st.composite
def groups(draw: st.DrawFn) -> Group:
    """Draw 8-bit weights, as bf16 has them, from far below float16's smallest to far above 1."""
    power = draw(st.integers(-40, 8))
    return Group(
        weights=[2.0**power * whole for whole in draw(lists(fractions(255, 1)))],
        offsets=draw(lists(fractions(64, 128))),
        alpha=draw(st.integers(0, 64)) / 64,
        beta=draw(st.integers(0, 64)) / 64,
    )


grids = st.builds(
    IntGrid, bits=st.sampled_from(BITS), group_size=st.just(SIZE), symmetric=st.booleans()
)
rows_of_groups = st.lists(groups(), min_size=1, max_size=2)


def check_row(
    quantized: QuantizedWeight, row: int, group: Group, want: tuple[Sequence[int], float, int]
) -> None:
    """Compare one row with what the reference says of it."""
    codes, scale, zero = want
    assert scale == float(quantized.scale_OG[row, 0])
    assert zero == int(quantized.zero_OG[row, 0])
    for place, (expected, actual) in enumerate(
        zip(codes, quantized.codes_OI[row].tolist(), strict=True)
    ):
        if expected != actual:
            exact = group.weights[place] / scale + group.offsets[place]
            assert abs(expected - actual) == 1
            assert abs(exact - math.floor(exact) - 0.5) < HAIR


def tensors(rows: list[Group]) -> tuple[torch.Tensor, Rounding]:
    """Return the weights ``[O, I]`` and what was learned about them, for the real engine."""
    return torch.tensor([group.weights for group in rows]), Rounding(
        torch.tensor([[group.offsets] for group in rows]),
        torch.tensor([[[group.alpha]] for group in rows]),
        torch.tensor([[[group.beta]] for group in rows]),
    )


@given(grid=grids, rows=rows_of_groups)
def test_round_to_nearest_is_the_references(grid: IntGrid, rows: list[Group]) -> None:
    """Codes, scales and zero points, for every width and both grids, from tiny to large weights."""
    quantized = round_to_nearest("w", tensors(rows)[0], grid)

    for row, group in enumerate(rows):
        still = group._replace(offsets=[0.0] * SIZE, alpha=1.0, beta=1.0)
        want = quantize_group(*still, bits=grid.bits, symmetric=grid.symmetric)
        check_row(quantized, row, still, want)


@given(grid=grids, rows=rows_of_groups)
def test_learned_codes_are_the_references(grid: IntGrid, rows: list[Group]) -> None:
    """The same with V, alpha and beta anywhere in their ranges, alpha = beta = 0 included."""
    weight_OI, rounding = tensors(rows)

    quantized = quantize(grouped("w", weight_OI, grid), rounding, grid)

    for row, group in enumerate(rows):
        want = quantize_group(*group, bits=grid.bits, symmetric=grid.symmetric)
        check_row(quantized, row, group, want)


@given(grid=grids, rows=rows_of_groups, half=st.booleans())
def test_codes_are_always_what_was_multiplied_by(
    grid: IntGrid, rows: list[Group], *, half: bool
) -> None:
    """For any weight and rounding, dequantized codes are the learning step's weight, to the bit.

    What is stored keeps its invariants: codes within the grid, no scale of 0, no zero point of 0.
    """
    dtype = torch.bfloat16 if half else torch.float32
    weight_OI, rounding = tensors(rows)
    weight = grouped("w", weight_OI.to(dtype), grid)

    quantized = quantize(weight, rounding, grid)

    multiplied_by = fake_quantize(weight, rounding, grid, dtype)
    assert torch.equal(multiplied_by, dequantize(quantized, dtype))
    assert int(quantized.codes_OI.max()) <= grid.levels
    assert float(quantized.scale_OG.float().abs().min()) > 0
    assert int(quantized.zero_OG.min()) >= 1
    assert int(quantized.zero_OG.max()) <= grid.levels
