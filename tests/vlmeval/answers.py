"""Answers at the edges of every rule, thousands of them, the same ones each time.

Fragments that a rule looks at are put together in all orders: letters as words, in brackets and
beside marks that rules do not know, texts of options, refusals, numbers with commas and periods,
contractions, and characters that lower case, white space or digits treat in their own way.
"""

# ruff: noqa: RUF001 -- characters that look like others are the point

from random import Random
from typing import NamedTuple

from infra.evaluation.contractions import CONTRACTIONS

SPACES = (" ", " ", " ", "", "  ", "\n", "\t", "\u00a0", "\x1c", "\u3000", "\u200b")
MARKS = (
    *".,:;!?()[]{}*#'/\\_-+=<>@`~…。，：（）、“”’", '"', "**", "...", " . ", " , ", ". ", "!?",
)  # fmt: skip
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "I'm sorry, but without the image, I cannot tell",
    "Cannot determine the answer",
    "cannot determine the answer",
    "Failed to obtain answer via API",
)
TEXTS = (
    "cat", "Cat", "a cat", "cat and dog", "dog", "hot dog", "A", "b", "B", "C", "yes", "no", "None",
    "NA", "5", "5.0", "50", "1,000", "nan", "İstanbul", "ſilver", "STRASSE", "straße", "狗",
    "一只狗", "以上都不是", "all of the above", "the left side", "left", "", " ", "a", "x", "K",
    "\u212a", "is B",
)  # fmt: skip
FILLERS = (
    "the", "The animal in the picture is", "on a chair", "because", "I think", "Option", "A dog",
    "it is", "not", "or", "and", "Answer", "the answer is", "The correct answer is", "answer is",
    "Answer  is", "ANSWER IS", "anſwer is", "answer\nis", "答案是", "选", "很", "é", "😀", "ﬁ",
    "²", "٣",
)  # fmt: skip
NUMBERS = (
    "1998.", "1998", "3.5", "1,000", "1, 000", "1 ,000", ".5", "5.", "5..", "1.000.000", "10",
    "zero", "None", "one", "Ten", "two", "٣.", "٣,٣", "²", "5.a", "a.5", "1,a", "-3", "$5", "5%",
    "12:30",
)  # fmt: skip
LETTERS = "ABCDE"


class ChoiceCase(NamedTuple):
    """An answer to a question with these options."""

    answer: str
    options: dict[str, str]


class OpenCase(NamedTuple):
    """An answer to an open question, and the cell with those of the annotators."""

    prediction: str
    cell: str | list[str]


def join(rng: Random, pieces: list[str]) -> str:
    """Put pieces together with something or nothing between them."""
    return "".join(piece + rng.choice(SPACES) for piece in pieces)


def around(rng: Random, text: str) -> str:
    """Put marks at a text, some of the time."""
    if rng.random() < 0.5:
        return text
    return rng.choice((*MARKS, "")) + text + rng.choice((*MARKS, ""))


def cased(rng: Random, text: str) -> str:
    """Write a text in any case."""
    return rng.choice((text, text, text.lower(), text.upper(), text.title()))


def choice_case(rng: Random) -> ChoiceCase:
    """Make one answer to a multiple-choice question."""
    letters = LETTERS[: rng.randint(1, 5)] if rng.random() < 0.9 else "ACD"
    options = {letter: rng.choice(TEXTS) for letter in letters}

    def piece() -> str:
        kind = rng.random()
        if kind < 0.3:
            return around(
                rng, rng.choice((*LETTERS, *LETTERS, "F", "Z", "a", "b", "Ａ", "AB", "B/C"))
            )
        if kind < 0.5:
            return around(rng, cased(rng, rng.choice(list(options.values()))))
        if kind < 0.53:
            return rng.choice(REFUSALS)
        if kind < 0.6:
            return rng.choice(MARKS)
        return cased(rng, rng.choice(FILLERS))

    pieces = [piece() for _ in range(rng.choice((0, 1, 1, 2, 3, 4, 5, 6, 8, 12)))]
    return ChoiceCase(join(rng, pieces), options)


def yes_no_case(rng: Random) -> str:
    """Make one answer to a yes/no question."""
    words = (
        "yes", "Yes", "YES", "no", "No", "NO", "not", "nо", "Yesno", "Ｙes", "yeſ", "none", "是",
    )  # fmt: skip

    def piece() -> str:
        kind = rng.random()
        if kind < 0.45:
            return around(rng, rng.choice(words))
        if kind < 0.55:
            return around(rng, rng.choice(NUMBERS))
        if kind < 0.6:
            return "5. " * rng.choice((1, 2, 31, 32, 33))  # at most 32 periods are dropped
        if kind < 0.68:
            return rng.choice(MARKS) * rng.choice((1, 1, 2, 40))
        return rng.choice((*FILLERS, *REFUSALS))

    return join(rng, [piece() for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 5, 9)))])


def open_case(rng: Random) -> OpenCase:
    """Make one answer to an open question; annotators say nearly the same, or something else."""
    words = (*CONTRACTIONS, *CONTRACTIONS.values(), *NUMBERS, *NUMBERS, *TEXTS, *FILLERS)
    base = [rng.choice(words) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4)))]

    def variant() -> str:
        pieces = [around(rng, cased(rng, word)) if rng.random() < 0.3 else word for word in base]
        if rng.random() < 0.2:
            pieces.insert(rng.randint(0, len(pieces)), rng.choice(("a", "An", "the", "The")))
        if rng.random() < 0.05:
            pieces.append("." * rng.choice((1, 2, 31, 32, 33, 40)))
        return join(rng, pieces) if rng.random() < 0.5 else " ".join(pieces)

    annotators = [
        variant() if rng.random() < 0.6 else rng.choice(words)
        for _ in range(10 if rng.random() < 0.9 else rng.choice((1, 2, 3, 4, 12)))
    ]
    if rng.random() < 0.03:
        return OpenCase(variant(), variant())
    return OpenCase(variant(), annotators)
