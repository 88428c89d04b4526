"""Draw the error of each block, before and after learning, as a PNG.

Drawn with Pillow and the font that it carries, and without a date or a name of software in the
file: the same blocks give the same bytes, on a machine without fonts or a home folder too.
"""

import io
import math
from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont

from infra.card.facts import BlockFacts

WIDTH, HEIGHT = 1200, 540
_LEFT, _RIGHT, _TOP, _BOTTOM = 110, 30, 70, 60
_FINE = 2  # drawn so much larger and scaled down, which smooths the edges
_INK, _PALE, _BEFORE, _AFTER = "#333333", "#dddddd", "#9a9a9a", "#1f5fbf"
_DOT, _TEXT = 7, 20
_STEPS = (1, 2, 5)
_FEW_TICKS = 3
_MOST_NAMES = 30


def learned(blocks: Sequence[BlockFacts]) -> tuple[BlockFacts, ...]:
    """Return the blocks whose error is known; none where nothing was learned."""
    return tuple(each for each in blocks if each.loss_before and each.loss_after)


def draw_losses(blocks: Sequence[BlockFacts]) -> bytes:
    """Return a PNG with one pair of dots for each block whose error is known.

    Args:
        blocks: At least one of them was learned.
    """
    known = learned(blocks)
    canvas = _Canvas(known, len(blocks))
    canvas.draw_axes()
    for block in known:
        canvas.draw_block(block)
    canvas.draw_legend()
    return canvas.png()


class _Canvas:
    """A picture with a logarithmic axis for errors and a place for each block."""

    def __init__(self, known: Sequence[BlockFacts], blocks: int) -> None:
        errors = [error for each in known for error in (each.loss_before, each.loss_after) if error]
        self._low, self._high = _span(min(errors), max(errors))
        self._blocks = blocks
        self._image = Image.new("RGB", (WIDTH * _FINE, HEIGHT * _FINE), "white")
        self._pen = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(_TEXT * _FINE)

    def draw_axes(self) -> None:
        """Draw rules at round errors, and the numbers of the blocks."""
        for tick in _ticks(self._low, self._high):
            y = self._y(tick)
            self._line((_LEFT, y), (WIDTH - _RIGHT, y), _PALE)
            self._write((_LEFT - 12, y), f"{tick:g}", "rm")
        apart = math.ceil(self._blocks / _MOST_NAMES)
        for block in range(0, self._blocks, apart):
            self._write((self._x(block), HEIGHT - _BOTTOM + 18), str(block + 1), "mm")
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        self._write((middle, HEIGHT - 14), "block", "mm")

    def draw_block(self, block: BlockFacts) -> None:
        """Draw one pair of dots, and a line from the one to the other."""
        if not block.loss_before or not block.loss_after:
            return
        x = self._x(block.block)
        before, after = self._y(block.loss_before), self._y(block.loss_after)
        self._line((x, before), (x, after), _BEFORE)
        self._dot((x, before), _BEFORE)
        self._dot((x, after), _AFTER)

    def draw_legend(self) -> None:
        """Say what the dots are."""
        self._write((_LEFT, 30), "Error of each block's output on held-out samples:", "lm")
        for x, ink, words in ((620, _BEFORE, "round-to-nearest"), (850, _AFTER, "learned")):
            self._dot((x, 30), ink)
            self._write((x + 18, 30), words, "lm")

    def png(self) -> bytes:
        """Return the file."""
        file = io.BytesIO()
        small = self._image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
        small.quantize(colors=64, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        return file.getvalue()

    def _x(self, block: int) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (block + 0.5) / self._blocks

    def _y(self, error: float) -> float:
        share = math.log(error / self._low) / math.log(self._high / self._low)
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share

    def _line(self, start: tuple[float, float], end: tuple[float, float], ink: str) -> None:
        self._pen.line([*_finer(start), *_finer(end)], fill=ink, width=2 * _FINE)

    def _dot(self, place: tuple[float, float], ink: str) -> None:
        x, y = _finer(place)
        reach = _DOT * _FINE
        self._pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=ink)

    def _write(self, place: tuple[float, float], words: str, anchor: str) -> None:
        self._pen.text(_finer(place), words, fill=_INK, font=self._font, anchor=anchor)


def _finer(place: tuple[float, float]) -> tuple[float, float]:
    return place[0] * _FINE, place[1] * _FINE


def _span(low: float, high: float) -> tuple[float, float]:
    """Return the ends of the axis: a little room at both, and some where all errors are equal."""
    room = max((high / low) ** 0.08, 1.1)
    return low / room, high * room


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two errors: powers of ten, with 2 and 5 where those are few."""
    tens = [tick for tick in _round_numbers(low, high) if _is_power_of_ten(tick)]
    return tens if len(tens) >= _FEW_TICKS else list(_round_numbers(low, high))


def _round_numbers(low: float, high: float) -> Iterator[float]:
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (tick for step in _STEPS if low <= (tick := step * 10.0**power) <= high)


def _is_power_of_ten(tick: float) -> bool:
    return abs(math.log10(tick) - round(math.log10(tick))) < 1e-9  # noqa: PLR2004 -- rounding
