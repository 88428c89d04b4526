"""Conversations about one picture, and the mix of questions training asks."""

import random
from dataclasses import dataclass

from infra.demo import questions
from infra.demo.choices import Choice, about_picture, about_science, as_turn
from infra.demo.questions import LOOKUPS, Turn
from infra.demo.world import Scene


@dataclass(frozen=True)
class Mix:
    """How often each kind of question is asked, as relative weights."""

    lookup: float
    yes_no: float
    reading: float
    choice: float


EARLY = Mix(lookup=3.5, yes_no=2.0, reading=1.5, choice=3.0)
"""Mix for the time in which the model learns to look."""

LATE = Mix(lookup=1.5, yes_no=2.0, reading=1.5, choice=5.0)
"""Mix for the time in which it learns to choose among options."""


def ask(scene: Scene, rng: random.Random, mix: Mix) -> Turn:
    """Ask one question about a scene.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.
        mix: Weights of the kinds.

    Returns:
        The turn.
    """
    weights = (mix.lookup, mix.yes_no, mix.reading, mix.choice)
    kind = rng.choices(("lookup", "yes_no", "reading", "choice"), weights)[0]
    if kind == "lookup":
        return rng.choice(LOOKUPS)(scene, rng)
    if kind == "yes_no":
        return questions.yes_no(scene, rng)
    if kind == "reading":
        return questions.read_short(scene, rng)
    return as_turn(_choice(scene, rng))


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
        turn = ask(scene, rng, EARLY)
        turns.setdefault(turn.question, turn)
    return tuple(turns.values())
