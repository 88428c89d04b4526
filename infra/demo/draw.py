"""Pictures of scenes, drawn with Pillow alone."""

import base64
import io
import math
import random

from PIL import Image, ImageDraw, ImageFont

from infra.demo.seeds import stream
from infra.demo.world import CELL, SIDE, TEXT_ROW, Scene, Thing

_PAINT = {
    "red": (220, 30, 30),
    "green": (30, 150, 50),
    "blue": (40, 70, 220),
    "yellow": (240, 200, 20),
    "black": (20, 20, 20),
    "pink": (250, 130, 190),
}
_PAPER = ((255, 255, 255), (232, 236, 240), (250, 243, 228))
_INK = (60, 40, 30)
_FONT_SIZE = 26
_JPEG_QUALITY = 90

Point = tuple[float, float]


def _ring(centre: Point, radius: float, angles: list[float]) -> list[Point]:
    """Return points on a circle, angles in degrees clockwise from the top."""
    x, y = centre
    turns = [math.radians(angle - 90) for angle in angles]
    return [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]


def _star(centre: Point, radius: float) -> list[Point]:
    """Return the ten corners of a five-pointed star."""
    outer = _ring(centre, radius * 1.15, [72.0 * k for k in range(5)])
    inner = _ring(centre, radius * 0.45, [72.0 * k + 36 for k in range(5)])
    return [point for pair in zip(outer, inner, strict=True) for point in pair]


def _cross(centre: Point, radius: float) -> list[Point]:
    """Return the twelve corners of an upright cross."""
    x, y = centre
    arm = radius * 0.36
    quarter = [(arm, -radius), (arm, -arm), (radius, -arm)]
    lower = [(px, -py) for px, py in reversed(quarter)]
    right = quarter + lower
    left = [(-px, py) for px, py in reversed(right)]
    return [(x + px, y + py) for px, py in right + left]


def _outline(shape: str, centre: Point, radius: float) -> list[Point]:
    """Return the corners of a shape; circles are drawn as fine polygons."""
    if shape == "circle":
        return _ring(centre, radius, [10.0 * k for k in range(36)])
    if shape == "square":
        return _ring(centre, radius * 1.22, [45.0, 135.0, 225.0, 315.0])
    if shape == "triangle":
        return _ring((centre[0], centre[1] + 2), radius * 1.2, [0.0, 120.0, 240.0])
    return _star(centre, radius) if shape == "star" else _cross(centre, radius)


def _paint_thing(canvas: ImageDraw.ImageDraw, thing: Thing, rng: random.Random) -> None:
    """Draw one shape near the middle of its cell."""
    radius = rng.choice((9.0, 10.0, 10.5))
    x = thing.column * CELL + CELL / 2 + rng.choice((-1, 0, 1))
    y = thing.row * CELL + CELL / 2 + rng.choice((-1, 0, 1))
    canvas.polygon(_outline(thing.shape, (x, y), radius), fill=_PAINT[thing.colour])


def render(scene: Scene) -> Image.Image:
    """Draw a scene.

    Args:
        scene: What to draw.

    Returns:
        An RGB picture of 112 x 112 pixels.
    """
    image = Image.new("RGB", (SIDE, SIDE), _PAPER[scene.background])
    canvas = ImageDraw.Draw(image)
    rng = stream(scene.jitter, "jitter")
    for thing in scene.things:
        _paint_thing(canvas, thing, rng)
    font = ImageFont.load_default(_FONT_SIZE)
    for column, character in enumerate(scene.text.upper()):
        place = (column * CELL + CELL / 2, TEXT_ROW * CELL + CELL / 2)
        canvas.text(place, character, fill=_INK, font=font, anchor="mm")
    return image


def to_jpeg(image: Image.Image, quality: int = _JPEG_QUALITY) -> bytes:
    """Encode a picture as JPEG.

    Args:
        image: Picture to encode.
        quality: JPEG quality.

    Returns:
        The bytes, the same for the same picture under one Pillow version.
    """
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def to_base64(scene: Scene) -> str:
    """Draw a scene into the base64 text benchmark tables carry.

    Args:
        scene: What to draw.

    Returns:
        Base64 of a JPEG file.
    """
    return base64.b64encode(to_jpeg(render(scene))).decode("ascii")
