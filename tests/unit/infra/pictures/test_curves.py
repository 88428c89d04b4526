"""Every block has its chart, of what was measured, in a picture that a page can hold."""

import base64
from xml.etree import ElementTree as ET

import pytest

from infra.pictures.curves import MOST_POINTS, Curve, draw_curves
from infra.pictures.inline import SVG, inline

NAMES = {"svg": "http://www.w3.org/2000/svg"}
FALLING = Curve(
    block=2,
    nearest=0.02,
    training=tuple(0.02 - 0.00001 * step for step in range(1000)),
    checks=((0, 0.02), (500, 0.016), (1000, 0.015)),
    chosen=1000,
)


def drawn(*curves: Curve) -> ET.Element:
    """Return the picture of curves, parsed."""
    return ET.fromstring(draw_curves(curves))  # noqa: S314 -- our own


def words_in(picture: ET.Element) -> list[str]:
    """Return all text in a picture."""
    return [each.text or "" for each in picture.iterfind(".//svg:text", NAMES)]


@pytest.mark.parametrize("count", [1, 6, 28])
def test_every_block_has_a_chart(count: int) -> None:
    """Of its number, counted from 1."""
    words = words_in(drawn(*(FALLING._replace(block=block) for block in range(count))))

    assert [f"block {block + 1}" in words for block in range(count)] == [True] * count


def test_a_chart_says_what_the_block_came_to() -> None:
    """Round-to-nearest first, then what was kept, and how much that is."""
    assert "0.02 \N{RIGHTWARDS ARROW} 0.015 (-25%)" in words_in(drawn(FALLING))


def test_a_falling_error_falls_in_the_picture() -> None:
    """Larger errors are further up, whichever line it is."""
    for line in drawn(FALLING).iterfind(".//svg:g/svg:polyline", NAMES):
        heights = [float(place.split(",")[1]) for place in line.attrib["points"].split()]
        assert heights == sorted(heights)


def test_what_was_kept_is_marked_where_it_was_found() -> None:
    """Not always the last step."""
    early = FALLING._replace(checks=((0, 0.02), (500, 0.015), (1000, 0.017)), chosen=500)
    places = []
    for curve in (early, FALLING):
        (mark,) = drawn(curve).findall(".//svg:g/svg:circle", NAMES)
        places.append(float(mark.attrib["cx"]))

    assert places[0] < places[1]


def test_a_block_whose_errors_were_not_finite_has_a_chart_that_says_so() -> None:
    """NaN is nowhere on an axis."""
    picture = drawn(Curve(0, None, (None, None), ((0, None),), 0))

    assert "not finite" in words_in(picture)
    assert picture.findall(".//svg:g/svg:polyline", NAMES) == []


def test_a_block_that_was_never_wrong_is_drawn() -> None:
    """All errors are zero, and so is the height of the axis."""
    picture = drawn(Curve(0, 0.0, (0.0, 0.0), ((0, 0.0), (2, 0.0)), 0))

    assert "0 \N{RIGHTWARDS ARROW} 0 (+0%)" in words_in(picture)


def test_the_picture_of_a_large_model_fits_on_a_page() -> None:
    """80 blocks of 1,000 steps are below 100 KB."""
    picture = draw_curves([FALLING._replace(block=block) for block in range(80)])

    assert len(inline(picture, SVG, "curves")) < 100_000
    assert len(picture) > 80 * MOST_POINTS


def test_a_picture_is_inside_its_page() -> None:
    """As an image in Markdown, with words for those who do not see it."""
    told = inline(b"<svg/>", SVG, "Losses of pile")

    head, _, tail = told.partition("base64,")
    assert head == "![Losses of pile](data:image/svg+xml;"
    assert base64.b64decode(tail.removesuffix(")")) == b"<svg/>"
