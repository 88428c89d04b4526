"""Plain questions about scenes and their true answers."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from infra.demo import prompts
from infra.demo.world import COLOURS, SHAPES, Scene


@dataclass(frozen=True)
class Turn:
    """One question and its answer."""

    question: str
    answer: str


def article(name: str) -> str:
    """Return `name` with its indefinite article (no name in this world starts with a vowel).

    Args:
        name: A noun, such as "red circle".

    Returns:
        The noun phrase.
    """
    return f"a {name}"


def text_kind(scene: Scene) -> str:
    """Say whether the text of a scene is a "word" or a "number".

    Args:
        scene: The scene.

    Returns:
        The noun.
    """
    return "number" if scene.text.isdigit() else "word"


def colour_of(scene: Scene, rng: random.Random) -> Turn:
    """Ask for the colour of one shape.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.

    Returns:
        The turn.
    """
    thing = rng.choice(scene.things)
    return Turn(f"What colour is the {thing.shape}?", thing.colour)


def shape_of(scene: Scene, rng: random.Random) -> Turn:
    """Ask for the shape of one colour.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.

    Returns:
        The turn.
    """
    thing = rng.choice(scene.things)
    return Turn(f"What shape is {thing.colour}?", thing.shape)


def count_of(scene: Scene, rng: random.Random) -> Turn:
    """Ask for the number of shapes.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.

    Returns:
        The turn.
    """
    noun = rng.choice(("shapes", "things"))
    return Turn(f"How many {noun} are in the picture?", str(len(scene.things)))


def reading_question(scene: Scene, rng: random.Random) -> Turn:
    """Ask for the text in the picture, without an answer style.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.

    Returns:
        The turn.
    """
    verb = rng.choice(("written", "shown"))
    return Turn(f"What {text_kind(scene)} is {verb} in the picture?", scene.text)


def read_short(scene: Scene, rng: random.Random) -> Turn:
    """Ask for the text in the picture in the wording of TextVQA.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.

    Returns:
        The turn.
    """
    plain = reading_question(scene, rng)
    return Turn(prompts.short_answer(plain.question), plain.answer)


def describe(scene: Scene, rng: random.Random) -> Turn:
    """Ask for everything in the picture, in reading order.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.

    Returns:
        The turn.
    """
    wish = rng.choice(("Describe the picture.", "What is in the picture?"))
    named = [article(thing.name) for thing in scene.things]
    return Turn(wish, f"{', '.join(named)} and the {text_kind(scene)} {scene.text}.")


def _absent_shape(scene: Scene, rng: random.Random) -> str:
    """Draw a shape the scene lacks."""
    seen = {thing.shape for thing in scene.things}
    return rng.choice([shape for shape in SHAPES if shape not in seen])


def _absent_pair(scene: Scene, rng: random.Random) -> str:
    """Draw a shape of the scene in a colour it does not have."""
    thing = rng.choice(scene.things)
    return f"{rng.choice([c for c in COLOURS if c != thing.colour])} {thing.shape}"


def absent_name(scene: Scene, rng: random.Random, *, with_colour: bool) -> str:
    """Name a thing that is not in the scene.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.
        with_colour: Whether to name a shape that is there in a wrong colour, the harder case.

    Returns:
        The name.
    """
    return _absent_pair(scene, rng) if with_colour else _absent_shape(scene, rng)


def presence_question(name: str) -> str:
    """Ask whether something is in the picture.

    Args:
        name: What is asked for.

    Returns:
        The question, without an answer style.
    """
    return f"Is there {article(name)} in the image?"


def yes_no(scene: Scene, rng: random.Random) -> Turn:
    """Ask whether a shape, or a shape of some colour, is in the picture.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.

    Returns:
        The turn, in the wording of POPE, answered "Yes" in half of all draws.
    """
    with_colour = rng.random() < 0.4  # noqa: PLR2004 - share of the harder case
    truth = rng.random() < 0.5  # noqa: PLR2004 - a fair coin
    thing = rng.choice(scene.things)
    present = thing.name if with_colour else thing.shape
    name = present if truth else absent_name(scene, rng, with_colour=with_colour)
    return Turn(prompts.yes_no(presence_question(name)), "Yes" if truth else "No")


Asker = Callable[[Scene, random.Random], Turn]

LOOKUPS: tuple[Asker, ...] = (colour_of, shape_of, count_of, reading_question, describe)
"""Questions answered in free words, as conversations ask them."""
