"""Conversations about one picture, and the questions training asks."""

import random

from infra.demo import prompts, questions
from infra.demo.choices import Choice, about_options, about_picture, about_science, as_turn
from infra.demo.questions import LOOKUPS, Asker, Turn
from infra.demo.world import Scene

_KINDS = ("lookup", "yes_no", "reading", "choice")
_WEIGHTS = (3.5, 2.0, 1.5, 3.0)
_DRILLS: tuple[Asker, ...] = (
    questions.colour_of, questions.colour_of, questions.shape_of, questions.shape_of,
    questions.describe, questions.describe, questions.yes_no, questions.yes_no, questions.yes_no,
    questions.count_of, questions.read_short,
)  # fmt: skip
_DRILL_CHOICES = (0.15, 0.15)
_EXAM_CHOICES = (0.5, 0.15)


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


def spell(rng: random.Random) -> tuple[Turn, ...]:
    """Hold a conversation about options alone: which letter says what, and what a letter says.

    One list of options answers many questions, so naming options is learnt in few tokens.

    Args:
        rng: Stream to draw from.

    Returns:
        The turns; the first lists the options.
    """
    choice = about_options(rng)
    pairs = list(zip(prompts.LETTERS, choice.options, strict=False))
    named = [Turn(f"Which option says {option}?", letter) for letter, option in pairs]
    told = [Turn(f"What is option {letter}?", option) for letter, option in pairs]
    rest = [*(turn for turn in named if turn.answer != choice.letter), rng.choice(told)]
    return (as_turn(choice), *rng.sample(rest, len(rest)))


def recite(rng: random.Random) -> str:
    """List options, then say again and again which letter each of them has.

    As plain text this asks for a letter every few tokens, many times denser than conversations:
    without it, naming options by letter takes longer to learn than everything else together.

    Args:
        rng: Stream to draw from.

    Returns:
        The text; letters stand at the start of a line, as answers do.
    """
    pairs = list(zip(prompts.LETTERS, about_options(rng).options, strict=False))
    listed = "".join(f"{letter}. {option}\n" for letter, option in pairs)
    asked = rng.choices(pairs, k=4) + rng.sample(pairs, len(pairs))
    back = (rng.random() < 0.25 for _ in asked)  # noqa: PLR2004 - share of the way back
    said = (
        f"{a}\n {b}\n" if way else f" {b}\n{a}\n" for (a, b), way in zip(asked, back, strict=True)
    )
    return f"Options:\n{listed}{''.join(said)}"


def _mixed(scene: Scene, rng: random.Random, shares: tuple[float, float]) -> Turn:
    """Ask with options about the scene, or about the options alone, in these shares; else drill."""
    about_scene, about_letters = shares
    lot = rng.random()
    if lot < about_scene:
        return as_turn(_choice(scene, rng))
    if lot < about_scene + about_letters:
        return as_turn(about_options(rng))
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
