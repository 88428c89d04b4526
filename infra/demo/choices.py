"""Multiple-choice questions: about the picture itself, and about the toy world's science."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from infra.demo import prompts
from infra.demo.questions import Turn, absent_name, article, colour_of, reading_question, shape_of
from infra.demo.world import COLOURS, MAX_THINGS, SHAPES, WORDS, Scene


@dataclass(frozen=True)
class Choice:
    """A question with options, exactly one of which is true."""

    question: str
    options: tuple[str, ...]
    answer: int
    category: str
    group: str
    hint: str = ""

    @property
    def letter(self) -> str:
        """Letter of the true option."""
        return prompts.LETTERS[self.answer]


NATURE = {
    "red": "hot",
    "blue": "cold",
    "green": "alive",
    "yellow": "bright",
    "black": "heavy",
    "pink": "soft",
}
"""What a thing of each colour is like."""

HABIT = {
    "circle": "roll",
    "square": "stand",
    "triangle": "point",
    "star": "shine",
    "cross": "mark",
}
"""What a thing of each shape can do."""


def rotate(choice: Choice, turn: int) -> Choice:
    """Move the options round, as circular evaluation asks.

    Args:
        choice: The question.
        turn: Number of places; option `turn` becomes the first.

    Returns:
        The same question with its options and answer moved.
    """
    size = len(choice.options)
    moved = tuple(choice.options[(place + turn) % size] for place in range(size))
    answer = (choice.answer - turn) % size
    return Choice(choice.question, moved, answer, choice.category, choice.group, choice.hint)


def as_turn(choice: Choice) -> Turn:
    """Word a choice as a turn answered by the text of the true option.

    A letter would need the option looked up a second time, which so small a model learns late;
    benchmarks read an option's text as well as its letter.

    Args:
        choice: The question.

    Returns:
        The turn.
    """
    prompt = prompts.multiple_choice(choice.question, choice.options, choice.hint)
    return Turn(prompt, choice.options[choice.answer])


def _options(
    truth: str, others: Sequence[str], rng: random.Random, size: int
) -> tuple[tuple[str, ...], int]:
    """Mix the truth with others; returns the options and the place of the truth."""
    wrong = [other for other in others if other != truth]
    options = [truth, *rng.sample(wrong, size - 1)]
    rng.shuffle(options)
    return tuple(options), options.index(truth)


def _size(rng: random.Random) -> int:
    """Draw the number of options: mostly four."""
    return rng.choice((3, 4, 4, 4))


def _colour(scene: Scene, rng: random.Random) -> Choice:
    turn = colour_of(scene, rng)
    options, answer = _options(turn.answer, COLOURS, rng, _size(rng))
    return Choice(turn.question, options, answer, "attribute_recognition", "fine_perception")


def _shape(scene: Scene, rng: random.Random) -> Choice:
    turn = shape_of(scene, rng)
    options, answer = _options(turn.answer, SHAPES, rng, _size(rng))
    return Choice(turn.question, options, answer, "object_recognition", "fine_perception")


def _text(scene: Scene, rng: random.Random) -> Choice:
    turn = reading_question(scene, rng)
    numbers = [str(number) for number in rng.sample(range(10, 100), MAX_THINGS)]
    others = numbers if scene.text.isdigit() else WORDS
    options, answer = _options(turn.answer, others, rng, _size(rng))
    return Choice(turn.question, options, answer, "ocr", "fine_perception")


def _presence(scene: Scene, rng: random.Random) -> Choice:
    truth = article(rng.choice(scene.things).name)
    wrong: list[str] = []
    size = _size(rng)
    while len(wrong) < size - 1:
        name = article(absent_name(scene, rng, with_colour=True))
        wrong.extend([] if name in wrong else [name])
    options, answer = _options(truth, wrong, rng, size)
    question = "Which of these is in the picture?"
    return Choice(question, options, answer, "image_scene", "coarse_perception")


_PICTURE_KINDS = (_colour, _colour, _shape, _shape, _text, _presence)


def about_picture(scene: Scene, rng: random.Random) -> Choice:
    """Draw a multiple-choice question about a scene.

    Args:
        scene: The scene asked about.
        rng: Stream to draw from.

    Returns:
        The question.
    """
    return rng.choice(_PICTURE_KINDS)(scene, rng)


def _plural(shape: str) -> str:
    """Name many of a shape."""
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"


def _facts(table: dict[str, str], key: str, rng: random.Random, verb: str) -> str:
    """State the fact that is needed among two or three that are not."""
    others = rng.sample([other for other in table if other != key], rng.choice((2, 3)))
    keys = [key, *others]
    rng.shuffle(keys)
    facts = (verb.format(key=each, value=table[each]) for each in keys)
    return " ".join(f"{fact[0].upper()}{fact[1:]}" for fact in facts)


def about_science(scene: Scene, rng: random.Random) -> Choice:
    """Draw a question that needs the picture and the fixed science of the world.

    Args:
        scene: A scene with one thing only.
        rng: Stream to draw from.

    Returns:
        The question; its hint states the facts.
    """
    thing = scene.things[0]
    size = rng.choice((2, 3, 4, 4))
    if rng.random() < 0.5:  # noqa: PLR2004 - a fair coin
        hint = _facts(NATURE, thing.colour, rng, "{key} things are {value}.")
        options, answer = _options(NATURE[thing.colour], tuple(NATURE.values()), rng, size)
        question = "Which word describes the thing in the picture?"
        return Choice(question, options, answer, "nature", "natural science", hint)
    habits = {_plural(shape): habit for shape, habit in HABIT.items()}
    hint = _facts(habits, _plural(thing.shape), rng, "{key} can {value}.")
    options, answer = _options(HABIT[thing.shape], tuple(HABIT.values()), rng, size)
    question = "What can the thing in the picture do?"
    return Choice(question, options, answer, "habit", "natural science", hint)
