"""Conversations about one picture, and the questions training asks."""

import random

from infra.demo import questions
from infra.demo.choices import Choice, about_picture, about_science, as_turn
from infra.demo.questions import LOOKUPS, Asker, Turn
from infra.demo.world import Scene

_KINDS = ("lookup", "yes_no", "reading", "choice")
_WEIGHTS = (3.5, 2.0, 1.5, 3.0)
_DRILLS: tuple[Asker, ...] = (
    questions.colour_of, questions.colour_of, questions.shape_of, questions.shape_of,
    questions.describe, questions.describe, questions.yes_no, questions.yes_no, questions.yes_no,
    questions.count_of, questions.read_short,
)  # fmt: skip
_DRILL_CHOICES = 0.15
_EXAM_CHOICES = 0.6


def ask(scene: Scene, rng: random.Random) -> Turn:
    """Ask one question of any kind about a scene.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.

    Returns:
        The turn.
    """
    kind = rng.choices(_KINDS, _WEIGHTS)[0]
    if kind == "lookup":
        return rng.choice(LOOKUPS)(scene, rng)
    if kind == "yes_no":
        return questions.yes_no(scene, rng)
    if kind == "reading":
        return questions.read_short(scene, rng)
    return as_turn(_choice(scene, rng))


def drill(scene: Scene, rng: random.Random) -> Turn:
    """Ask mostly plain questions, since choosing needs looking things up first.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.

    Returns:
        The turn.
    """
    return _mixed(scene, rng, _DRILL_CHOICES)


def examine(scene: Scene, rng: random.Random) -> Turn:
    """Ask as the benchmarks do, mostly with options.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.

    Returns:
        The turn.
    """
    return _mixed(scene, rng, _EXAM_CHOICES)


def _mixed(scene: Scene, rng: random.Random, choices: float) -> Turn:
    """Ask with options in this share of all draws, else drill."""
    if rng.random() < choices:
        return as_turn(_choice(scene, rng))
    return rng.choice(_DRILLS)(scene, rng)


def _choice(scene: Scene, rng: random.Random) -> Choice:
    """Ask about science where the scene allows it, else about the picture."""
    alone = len(scene.things) == 1
    science = alone and rng.random() < 0.7  # noqa: PLR2004 - share of science
    return about_science(scene, rng) if science else about_picture(scene, rng)


def converse(scene: Scene, rng: random.Random) -> tuple[Turn, ...]:
    """Hold a conversation of three to five turns about a scene.

    Args:
        scene: The scene talked about.
        rng: Stream to draw from.

    Returns:
        The turns, no question twice.
    """
    turns: dict[str, Turn] = {}
    size = rng.randint(3, 5)
    while len(turns) < size:
        turn = ask(scene, rng)
        turns.setdefault(turn.question, turn)
    return tuple(turns.values())
