"""The toy world: what a demo picture may contain.

Pictures are a grid of 4 x 4 cells of 28 pixels, one cell for each merged vision token. The
upper three rows hold coloured shapes, the last row holds a short text, one character a cell.
"""

import random
from dataclasses import dataclass

CELL = 28
GRID = 4
SIDE = CELL * GRID
TEXT_ROW = GRID - 1

SHAPES = ("circle", "square", "triangle", "star", "cross")
COLOURS = ("red", "green", "blue", "yellow", "black", "pink")
WORDS = (
    "ant", "bat", "bee", "bell", "bird", "boat", "book", "box", "bus", "cake", "cap", "cat",
    "coat", "cow", "cup", "deer", "desk", "dog", "door", "drum", "duck", "egg", "fan", "fish",
    "flag", "fox", "frog", "gate", "goat", "hat", "hen", "jam", "key", "kite", "lamp", "leaf",
    "lion", "map", "moon", "nest", "owl", "pan", "pen", "pig", "ring", "sun", "tree", "wolf",
)  # fmt: skip
MAX_THINGS = 4
BACKGROUNDS = 3


@dataclass(frozen=True)
class Thing:
    """One coloured shape standing in one cell."""

    shape: str
    colour: str
    row: int
    column: int

    @property
    def name(self) -> str:
        """Colour and shape as they are said, such as "red circle"."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """What one picture shows; shapes and colours occur once each, so lookups are unique."""

    things: tuple[Thing, ...]
    text: str
    background: int
    jitter: int


def _text(rng: random.Random) -> str:
    """Draw a word or a two-digit number."""
    if rng.random() < 0.6:  # noqa: PLR2004 - share of words
        return rng.choice(WORDS)
    return str(rng.randint(10, 99))


def draw_scene(rng: random.Random, *, things: int | None = None) -> Scene:
    """Draw a scene with distinct shapes and distinct colours.

    Args:
        rng: Stream to draw from.
        things: Number of shapes, or None for one to four.

    Returns:
        The scene.
    """
    count = things or rng.randint(1, MAX_THINGS)
    cells = rng.sample(range(TEXT_ROW * GRID), count)
    shapes = rng.sample(SHAPES, count)
    colours = rng.sample(COLOURS, count)
    placed = sorted(zip(cells, shapes, colours, strict=True))
    return Scene(
        things=tuple(Thing(s, c, cell // GRID, cell % GRID) for cell, s, c in placed),
        text=_text(rng),
        background=rng.randrange(BACKGROUNDS),
        jitter=rng.randrange(1 << 16),
    )
