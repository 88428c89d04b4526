"""Draw how each block was learned as one SVG: a small chart a block, all of the same size.

Each chart has a scale of its own, for errors grow by orders of magnitude from the first block to
the last, and what is looked for is whether each of them fell, when, and whether it still falls.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

FEW, FEW_COLUMNS, COLUMNS = 6, 3, 4  # charts are as wide as a page has room for
PAGE = 840  # pixels across, which is what a page has room for
WIDTH, HEIGHT = 190, 140  # of a chart, in units of the drawing
MOST_POINTS = 30  # of a curve; the page stays small with 80 blocks, too
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 40, 20  # around the axes of a chart
_LEGEND = 34
_TRAINING, _HELD_OUT, _NEAREST, _INK = "#b9c7dd", "#1f5fbf", "#9a9a9a", "#333333"


class Curve(NamedTuple):
    """How one block was learned; an error that was not finite is None."""

    block: int  # from 0
    nearest: float | None  # held-out error of round-to-nearest
    training: tuple[float | None, ...]  # of each step's batch
    checks: tuple[tuple[int, float | None], ...]  # (steps done, held-out error)
    chosen: int  # the step that was kept


class _Scale(NamedTuple):
    """Where a step and an error stand in a chart."""

    steps: int
    low: float
    high: float

    def place(self, step: float, error: float) -> str:
        x = _LEFT + (WIDTH - _LEFT - _RIGHT) * step / self.steps
        share = (error - self.low) / (self.high - self.low)
        return f"{x:.1f},{HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share:.1f}"


def draw_curves(curves: Sequence[Curve]) -> bytes:
    """Return an SVG with a chart for each block.

    Args:
        curves: At least one.
    """
    columns = FEW_COLUMNS if len(curves) <= FEW else COLUMNS
    rows = math.ceil(len(curves) / columns)
    width, height = columns * WIDTH, rows * HEIGHT + _LEGEND
    charts = "".join(
        f'<g transform="translate({place % columns * WIDTH},'
        f'{_LEGEND + place // columns * HEIGHT})">{"".join(_chart(curve))}</g>'
        for place, curve in enumerate(curves)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{PAGE}" height="{height * PAGE // width}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" fill="{_INK}">'
        f'<rect width="{width}" height="{height}" fill="white"/>{_legend()}{charts}</svg>'
    ).encode()


def _legend() -> str:
    """Return what the lines are."""
    kinds = (
        (_TRAINING, "training batches"),
        (_HELD_OUT, "held-out samples"),
        (_NEAREST, "round-to-nearest"),
    )
    parts = (
        f'<line x1="{x}" y1="14" x2="{x + 22}" y2="14" stroke="{ink}" stroke-width="2"/>'
        f'<text x="{x + 28}" y="18">{words}</text>'
        for x, (ink, words) in zip((8, 158, 308), kinds, strict=True)
    )
    kept = f'<circle cx="470" cy="14" r="3.5" fill="{_HELD_OUT}"/><text x="480" y="18">kept</text>'
    return "".join(parts) + kept


def _chart(curve: Curve) -> Iterator[str]:
    """Yield one block's title and lines."""
    yield f'<text x="{_LEFT}" y="14" font-weight="bold">block {curve.block + 1}</text>'
    yield f'<text x="{_LEFT}" y="29">{escape(_outcome(curve))}</text>'
    training, checks = _thinned(curve.training), _known(curve.checks)
    errors = [error for _, error in (*training, *checks)]
    errors += [] if curve.nearest is None else [curve.nearest]
    if not errors:
        return
    scale = _scale(errors, max([step for step, _ in (*training, *checks)], default=1))
    bottom = HEIGHT - _BOTTOM + 4
    yield f'<path d="M{_LEFT},{bottom}H{WIDTH - _RIGHT}" stroke="#dddddd"/>'
    end = f"{max(scale.steps, 1):g}"
    yield f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{end}</text>'
    yield _line(scale, training, _TRAINING)
    if curve.nearest is not None:
        both = [(0.0, curve.nearest), (float(scale.steps), curve.nearest)]
        yield _line(scale, both, _NEAREST, ' stroke-dasharray="4 3"')
    yield _line(scale, checks, _HELD_OUT)
    for step, error in checks:
        if step == curve.chosen:
            x, y = scale.place(step, error).split(",")
            yield f'<circle cx="{x}" cy="{y}" r="3.5" fill="{_HELD_OUT}"/>'


def _outcome(curve: Curve) -> str:
    """Return what the block came to, as a reader says it."""
    kept = dict(_known(curve.checks)).get(curve.chosen)
    if curve.nearest is None or kept is None:
        return "not finite"
    change = kept / curve.nearest - 1 if curve.nearest else 0.0
    return f"{curve.nearest:.3g} \N{RIGHTWARDS ARROW} {kept:.3g} ({change:+.0%})"


def _scale(errors: Sequence[float], steps: float) -> _Scale:
    """Return a scale with all errors on it, a little away from the edges."""
    low, high = min(errors), max(errors)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return _Scale(max(int(steps), 1), low - room, high + room)


def _thinned(losses: Sequence[float | None]) -> list[tuple[float, float]]:
    """Return means over runs of steps, each in its middle: batches differ, and would hide it."""
    apart = max(1, math.ceil(len(losses) / MOST_POINTS))
    runs = ((first, losses[first : first + apart]) for first in range(0, len(losses), apart))
    known = ((first, [loss for loss in run if loss is not None]) for first, run in runs)
    return [(first + len(run) / 2, sum(run) / len(run)) for first, run in known if run]


def _known(checks: Sequence[tuple[int, float | None]]) -> list[tuple[float, float]]:
    return [(step, error) for step, error in checks if error is not None]


def _line(scale: _Scale, points: Sequence[tuple[float, float]], ink: str, more: str = "") -> str:
    """Return a line through points; nothing where there is none."""
    if not points:
        return ""
    places = " ".join(scale.place(step, error) for step, error in points)
    return f'<polyline points="{places}" fill="none" stroke="{ink}" stroke-width="1.5"{more}/>'
