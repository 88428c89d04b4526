"""English-like stories from a grammar of our own.

A story keeps its facts: who owns what, of which colour, where people live and what their pets
are called. Predicting it well needs long range, which is what calibration text should exercise.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from infra.demo import lexicon as lex


@dataclass(frozen=True)
class Person:
    """One character and everything a story keeps true of them."""

    name: str
    she: str
    her: str
    job: str
    town: str
    pet: str
    pet_name: str
    thing: str
    colour: str
    material: str
    food: str
    place: str


@dataclass(frozen=True)
class Cast:
    """The two characters of a story."""

    hero: Person
    friend: Person


def _person(rng: random.Random, name: str) -> Person:
    """Draw everything about a person of a given name."""
    girl = name in lex.GIRLS
    return Person(
        name=name,
        she="She" if girl else "He",
        her="her" if girl else "his",
        job=rng.choice(lex.JOBS),
        town=rng.choice(lex.TOWNS),
        pet=rng.choice(lex.PETS),
        pet_name=rng.choice(lex.PET_NAMES),
        thing=rng.choice(lex.THINGS),
        colour=rng.choice(lex.COLOURS),
        material=rng.choice(lex.MATERIALS),
        food=rng.choice(lex.FOODS),
        place=rng.choice(lex.PLACES),
    )


def _cast(rng: random.Random) -> Cast:
    """Draw two people of different names."""
    hero, friend = rng.sample(lex.GIRLS + lex.BOYS, 2)
    return Cast(_person(rng, hero), _person(rng, friend))


def _introduce(one: Person) -> str:
    """State every lasting fact of a person."""
    return (
        f"{one.name} is a {one.job} from {one.town}. "
        f"{one.she} has a {one.pet} called {one.pet_name} "
        f"and a {one.colour} {one.thing} made of {one.material}. "
        f"{one.name} likes {one.food} and often goes to the {one.place}."
    )


def _weather(one: Person, _: Person, rng: random.Random) -> str:
    day, sky = rng.choice(lex.DAYS), rng.choice(lex.WEATHER)
    return f"On {day} it was {sky} in {one.town}, and {one.name} stayed at home."


def _walk(one: Person, _: Person, rng: random.Random) -> str:
    time, how = rng.choice(lex.TIMES), rng.choice(lex.ADVERBS)
    return f"{one.name} walked {how} to the {one.place} {time}."


def _pet(one: Person, _: Person, rng: random.Random) -> str:
    deed = rng.choice(("slept under", "looked at", "sat beside", "ran around", "hid behind"))
    return f"The {one.pet} {one.pet_name} {deed} the {one.colour} {one.thing}."


def _visit(one: Person, other: Person, rng: random.Random) -> str:
    time = rng.choice(lex.TIMES)
    return (
        f"{one.name} visited {other.name} in {other.town} {time}, because {other.name} was alone."
    )


def _meal(one: Person, other: Person, rng: random.Random) -> str:
    time = rng.choice(lex.TIMES)
    return (
        f"{one.she} ate {one.food} with {other.name} {time}, but {other.name} wanted {other.food}."
    )


def _mood(one: Person, _: Person, rng: random.Random) -> str:
    return f"{one.name} felt {rng.choice(lex.MOODS)} and thought of {one.her} {one.pet}."


def _buy(one: Person, _: Person, rng: random.Random) -> str:
    number, thing = rng.choice(lex.NUMBERS), rng.choice(lex.THINGS)
    return f"At the {one.place} {one.name} bought {number} {thing}s and some {one.food}."


def _ask(one: Person, other: Person, _: random.Random) -> str:
    return (
        f'"What colour is your {other.thing}?" asked {one.name}. '
        f'"It is {other.colour} and made of {other.material}," said {other.name}.'
    )


def _where(one: Person, other: Person, _: random.Random) -> str:
    return f'"Where do you live?" asked {one.name}. "I live in {other.town}," said {other.name}.'


def _lost(one: Person, other: Person, rng: random.Random) -> str:
    place = rng.choice(lex.PLACES)
    return (
        f"{one.name} lost the {one.colour} {one.thing} near the {place}. "
        f"{other.name} found it there and gave it back to {one.name}."
    )


def _work(one: Person, _: Person, rng: random.Random) -> str:
    day = rng.choice(lex.DAYS)
    return f"Like every {one.job}, {one.name} had to work on {day}."


def _size(one: Person, _: Person, rng: random.Random) -> str:
    return f"The {one.thing} of {one.name} was {rng.choice(lex.SIZES)}, {one.colour} and pretty."


def _all_sleep(one: Person, other: Person, _: random.Random) -> str:
    return f"{one.pet_name} the {one.pet} and {other.pet_name} the {other.pet} are good friends."


def _count(one: Person, _: Person, rng: random.Random) -> str:
    start = rng.randint(0, len(lex.NUMBERS) - 3)
    row = ", ".join(lex.NUMBERS[start : start + 3])
    return f"{one.name} counted the {rng.choice(lex.THINGS)}s aloud: {row}."


_EVENTS: tuple[Callable[[Person, Person, random.Random], str], ...] = (
    _weather, _walk, _pet, _visit, _meal, _mood, _buy, _ask, _where, _lost, _work, _size,
    _all_sleep, _count,
)  # fmt: skip


def _event(cast: Cast, rng: random.Random) -> str:
    """Tell one event, seen from either character."""
    pair = (cast.hero, cast.friend)
    one, other = pair if rng.random() < 0.5 else pair[::-1]  # noqa: PLR2004 - a fair coin
    return rng.choice(_EVENTS)(one, other, rng)


def write_story(rng: random.Random) -> str:
    """Write one story of about 330 to 600 tokens.

    Args:
        rng: Stream to draw from.

    Returns:
        The text, in paragraphs of a few sentences.
    """
    cast = _cast(rng)
    paragraphs = [f"{_introduce(cast.hero)} {_introduce(cast.friend)}"]
    for _ in range(rng.randint(5, 8)):
        events = [_event(cast, rng) for _ in range(rng.randint(4, 5))]
        paragraphs.append(" ".join(events))
    paragraphs.append(f"That is the story of {cast.hero.name} and {cast.friend.name}.")
    return "\n\n".join(paragraphs)
