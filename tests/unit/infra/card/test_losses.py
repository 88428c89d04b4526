"""The plot is a whole picture, the same each time, with a pair of dots for each learned block."""

import io

import numpy as np
import pytest
from PIL import Image

from infra.card.facts import BlockFacts
from infra.card.losses import HEIGHT, WIDTH, draw_losses, learned
from tests.support.card import blocks

BEFORE, AFTER = (0x9A, 0x9A, 0x9A), (0x1F, 0x5F, 0xBF)
LEGEND = 60  # pixels from the top
NEAR = 12  # of 255: colours are rounded to a palette


def block(number: int, before: float | None, after: float | None) -> BlockFacts:
    """Return a block with these errors."""
    return BlockFacts(
        block=number, loss_before=before, loss_after=after, chosen_iteration=0, fallback=None
    )


def dots(png: bytes, ink: tuple[int, int, int]) -> int:
    """Return how many dots of this ink stand beside one another below the legend."""
    with Image.open(io.BytesIO(png)) as picture:
        plot = np.asarray(picture.convert("RGB"), dtype=int)[LEGEND:]
    inked = (abs(plot - ink) < NEAR).all(axis=2).any(axis=0)
    return int((inked[1:] & ~inked[:-1]).sum())


def test_the_same_blocks_give_the_same_bytes() -> None:
    """A release that is published again is recognized by its files."""
    assert draw_losses(blocks(28)) == draw_losses(blocks(28))


def test_other_losses_give_another_picture() -> None:
    """It shows what was measured."""
    assert draw_losses(blocks(3)) != draw_losses(blocks(4))


def test_it_is_a_picture_without_a_date_or_a_program() -> None:
    """Nothing in the file but pixels and their colours."""
    png = draw_losses(blocks(6))

    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        assert (picture.format, picture.size, picture.info) == ("PNG", (WIDTH, HEIGHT), {})
    kinds = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
    assert all(kind in png for kind in kinds)
    assert not any(kind in png for kind in (b"tEXt", b"iTXt", b"zTXt", b"tIME", b"eXIf"))


@pytest.mark.parametrize("count", [1, 6, 28])
def test_every_block_has_its_pair_of_dots(count: int) -> None:
    """From one block to those of a large model."""
    png = draw_losses(blocks(count))

    assert dots(png, AFTER) == count


def test_blocks_without_losses_are_left_out() -> None:
    """They were rounded to nearest, so there is nothing to compare."""
    known = [block(0, 0.5, 0.25), block(1, None, None), block(2, 1.0, 0.125)]

    assert [each.block for each in learned(known)] == [0, 2]
    assert dots(draw_losses(known), AFTER) == 2


def test_equal_losses_have_an_axis_too() -> None:
    """A block that learned nothing, alone."""
    assert dots(draw_losses([block(0, 0.25, 0.25)]), AFTER) == 1
