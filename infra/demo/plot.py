"""Draws the training curves as SVG: `python -m infra.demo.plot CURVES.jsonl CURVES.svg`."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from infra.files import write_atomically

_WIDTH, _HEIGHT, _EDGE = 720, 360, 48
_INKS = {
    "lookup": "#777777",
    "yes_no": "#2a7f3f",
    "reading": "#1f5fbf",
    "choice": "#e08a00",
    "circular": "#c0392b",
    "science": "#8e44ad",
}

Line = dict[str, float]


def _point(step: float, share: float, last: float) -> str:
    """Place a share at a step on the canvas."""
    x = _EDGE + (_WIDTH - 2 * _EDGE) * step / last
    y = _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * share
    return f"{x:.1f},{y:.1f}"


def _curve(lines: Sequence[Line], kind: str, last: float) -> str:
    """Draw one kind of question as a line."""
    points = " ".join(_point(line["step"], line[kind], last) for line in lines if kind in line)
    return f'<polyline fill="none" stroke="{_INKS[kind]}" stroke-width="2" points="{points}"/>'


def _name(kind: str, place: int) -> str:
    """Write the name of one kind in its own ink above the curves."""
    x = _EDGE + place * 100
    return f'<text x="{x}" y="24" fill="{_INKS[kind]}">{kind}</text>'


def _rule(share: float, last: float) -> str:
    """Draw a horizontal rule and its share."""
    left, right = _point(0, share, last), _point(last, share, last)
    y = left.split(",")[1]
    rule = f'<polyline stroke="#dddddd" points="{left} {right}"/>'
    return f'{rule}<text x="10" y="{y}" fill="#555555">{share:.0%}</text>'


def draw_curves(lines: Sequence[Line]) -> str:
    """Draw accuracy by kind over steps.

    Args:
        lines: What training measured, one mapping for each checkpoint.

    Returns:
        An SVG document.
    """
    last = max(line["step"] for line in lines)
    rules = [_rule(share, last) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    curves = [_curve(lines, kind, last) for kind in _INKS]
    names = [_name(kind, place) for place, kind in enumerate(_INKS)]
    foot = f'<text x="{_WIDTH - 150}" y="{_HEIGHT - 14}" fill="#555555">{last:.0f} steps</text>'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="14"><rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([head, *rules, *curves, *names, foot, "</svg>", ""])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line.

    Args:
        arguments: Words of the command line, or None for the process's own.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("curves", type=Path)
    parser.add_argument("svg", type=Path)
    parsed = parser.parse_args(arguments)
    lines = [json.loads(line) for line in parsed.curves.read_text().splitlines()]
    write_atomically(parsed.svg, draw_curves(lines).encode())


if __name__ == "__main__":
    main()
