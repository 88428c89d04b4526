"""Learning goes on from any rounding that was found: it starts with these codes, to the bit."""

from collections.abc import Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from quantcore.block import Block
from quantcore.grid import SMALLEST_SCALE, IntGrid, QuantizedWeight, dequantize
from quantcore.learning import learn_block
from quantcore.seam import start_from
from quantcore.signround import SignRound, fake_quantize, grouped, quantize, round_to_nearest
from tests.support import blocks
from tests.support.blocks import Lesson

GRID = IntGrid(group_size=32)
LENGTHS = [16, 9, 16, 3, 12, 16, 1, 14, 16, 7, 16, 16]


@st.composite
def found_codes(draw: st.DrawFn) -> tuple[Tensor, IntGrid, QuantizedWeight]:
    """Return a weight, a grid, and codes, scales and zero points that have nothing to do with it.

    Scales are anything that float16 holds, negative ones too where the grid is symmetric.
    """
    grid = IntGrid(
        bits=draw(st.sampled_from([2, 3, 4, 8])), group_size=32, symmetric=draw(st.booleans())
    )
    numbers = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    shape_OI, shape_OG = (3, 64), (3, 2)
    weight_OI = torch.randn(shape_OI, generator=numbers) * 0.02
    exponent_OG = torch.rand(shape_OG, generator=numbers) * draw(st.floats(0.1, 4))
    scale_OG = (1.1 * SMALLEST_SCALE * 10**exponent_OG).half()
    if grid.symmetric:
        scale_OG *= torch.randint(0, 2, shape_OG, generator=numbers) * 2 - 1
        zero_OG = torch.full(shape_OG, grid.middle)
    else:
        zero_OG = torch.randint(1, grid.levels + 1, shape_OG, generator=numbers)
    codes_OI = torch.randint(0, grid.levels + 1, shape_OI, generator=numbers)
    found = QuantizedWeight(codes_OI.to(torch.uint8), scale_OG, zero_OG.to(torch.uint8))
    return weight_OI.to(draw(st.sampled_from([torch.float32, torch.bfloat16]))), grid, found


@given(found_codes())
def test_the_start_gives_any_found_codes_to_the_bit(
    given_: tuple[Tensor, IntGrid, QuantizedWeight],
) -> None:
    """Codes, scales and zero points, and the weight that a step multiplies by."""
    weight_OI, grid, found = given_

    weight, rounding = start_from(grouped("w", weight_OI, grid), found, grid)

    for expected, actual in zip(found, quantize(weight, rounding, grid), strict=True):
        assert torch.equal(expected, actual)
    exact_OI = fake_quantize(weight, rounding, grid, torch.float32).detach()
    assert torch.equal(dequantize(found, torch.float32), exact_OI)


def test_a_weight_on_its_code_is_not_pushed() -> None:
    """Of round-to-nearest's codes none needs an offset, but for those at the edge of a cell."""
    weight_OI = torch.randn(64, 64, generator=torch.Generator().manual_seed(3)) * 0.02
    nearest = round_to_nearest("w", weight_OI, GRID)

    _, rounding = start_from(grouped("w", weight_OI, GRID), nearest, GRID)

    offset_OGS = rounding.v_OGS.detach()
    assert float((offset_OGS != 0).float().mean()) < 0.2
    assert float(offset_OGS.abs().max()) < 0.1


def decoder_lesson(seed: int) -> tuple[Block, Lesson, Mapping[str, QuantizedWeight]]:
    """Return a block, true inputs, clean targets, and codes that were learned on clean inputs."""
    block, _ = blocks.decoder(seed=seed)
    clean, sides = blocks.texts(LENGTHS, seed=seed + 1)
    lesson = blocks.lesson(block, clean, sides)
    found = learn_block(block, *lesson, GRID, SignRound(iters=16, batch_size=4)).weights
    noise = torch.Generator().manual_seed(seed)
    upstream = [s * 1.05 + 0.1 * torch.randn(s.shape, generator=noise) for s in clean]
    return block, Lesson(blocks.chain(upstream, sides), lesson.targets), found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("iters", [1, 3, 24])
def test_a_seam_never_raises_the_held_out_loss(seed: int, iters: int) -> None:
    """However few steps, and however bad: what was found is kept if nothing is better."""
    block, lesson, found = decoder_lesson(seed)

    tuned = learn_block(block, *lesson, GRID, SignRound(iters=iters, batch_size=4), found=found)

    assert tuned.losses is not None
    assert tuned.losses.found is not None
    assert tuned.losses.checks[0] == (0, tuned.losses.found)
    assert tuned.losses.chosen <= tuned.losses.found
    assert tuned.fallback is None
    if tuned.chosen_iteration == 0:
        assert blocks.digest(found) == blocks.digest(tuned.weights)


def test_a_seam_learns_from_what_the_blocks_before_really_give() -> None:
    """On true inputs it wins back a part of what learning on clean ones has missed."""
    block, lesson, found = decoder_lesson(0)

    tuned = learn_block(block, *lesson, GRID, SignRound(iters=40, batch_size=4), found=found)

    assert tuned.losses is not None
    assert tuned.losses.found is not None
    assert tuned.losses.chosen < 0.97 * tuned.losses.found


def test_the_first_loss_is_that_of_the_found_codes() -> None:
    """Before the first step the block computes with the codes that were found."""
    block, lesson, found = decoder_lesson(1)
    whole = SignRound(iters=1, batch_size=len(LENGTHS))

    tuned = learn_block(block, *lesson, GRID, whole, found=found)
    begun = learn_block(block, *lesson, GRID, whole)

    assert tuned.losses is not None
    assert begun.losses is not None
    assert tuned.losses.nearest == begun.losses.nearest
    assert tuned.losses.training[0] != begun.losses.training[0]


def test_a_seam_is_the_same_every_time() -> None:
    """Twice the same codes, and nothing of what was found is changed."""
    block, lesson, found = decoder_lesson(2)
    before = blocks.digest(found)
    how = SignRound(iters=8, batch_size=4)

    twice = [learn_block(block, *lesson, GRID, how, found=found) for _ in range(2)]

    assert blocks.digest(twice[0].weights) == blocks.digest(twice[1].weights)
    assert blocks.digest(found) == before
