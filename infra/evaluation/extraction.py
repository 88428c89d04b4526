"""What an answer says: the letter of an option, or yes or no, read by rules and nothing else.

The rules have quirks ("A dog" is option A; "**Yes**" is neither yes nor no).  They are kept: the
numbers of others, which ours are put beside, have them too.
"""

import re
from collections.abc import Sequence
from typing import Literal

from infra.evaluation.rules import RuleSet

Said = Literal["Yes", "No", "Unknown"]
Option = tuple[str, str]  # letter, text

REFUSED = "Z"
"""Stands for a refusal where a letter is expected."""

_FAILED = "Failed to obtain answer via API"  # what VLMEvalKit records for a request that failed
_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_AROUND_LETTERS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_STATED = re.compile(r"answer\s+is\s+\**([ABCD])", re.IGNORECASE)

_MARKS = frozenset(';/[]"{}()=+\\_-><@`,?!')
_THOUSANDS = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_PERIOD_NOT_AFTER_DIGIT = re.compile(r"(?<!\d)\.(?!\d)")
_MOST_PERIODS = 32


def choice(answer: str, options: Sequence[Option], rules: RuleSet) -> str | None:
    """Return the letter of the option that ``answer`` chooses, without asking a judge model.

    Args:
        answer: What the model said.
        options: Letters, A to Z, and texts, as they were offered.
        rules: The dialect.

    Returns:
        A letter; `REFUSED`; or None where nothing, or no single option, could be read.
    """
    return _by_letter(answer, options, rules) or _by_text(answer, options, rules)


def yes_or_no(answer: str, rules: RuleSet) -> Said:
    """Return which of the words yes and no ``answer`` has, if it has just one of them."""
    words = without_punctuation(answer.lower(), rules).split()
    yes, no = "yes" in words, "no" in words
    if yes == no:
        return "Unknown"
    return "Yes" if yes else "No"


def without_punctuation(text: str, rules: RuleSet) -> str:
    """Return ``text`` without the punctuation marks that the VQA benchmarks ignore.

    A mark that touches a space anywhere is dropped everywhere, and so are all if a comma stands
    between two digits; others become a space.  Colons, asterisks and apostrophes stay.  Periods are
    dropped, the first 32 of them, unless a digit follows.
    """
    drop_all = _THOUSANDS.search(text) is not None
    clean = text
    for mark in _MARKS.intersection(text):
        drop = drop_all or f"{mark} " in text or f" {mark}" in text
        clean = clean.replace(mark, "" if drop else " ")
    period = _PERIOD_NOT_AFTER_DIGIT if rules.period_after_digit else _PERIOD
    return period.sub("", clean, count=_MOST_PERIODS)


def _by_letter(answer: str, options: Sequence[Option], rules: RuleSet) -> str | None:
    """Read the letter of an option that stands alone as a word."""
    if _FAILED in answer:
        return None
    if any(refusal in answer for refusal in _REFUSALS):
        return REFUSED
    words = answer.translate(_AROUND_LETTERS).split()
    letters = [letter for letter, _ in options if letter in words]
    if len(letters) == 1 and _late_enough(letters[0], words, rules):
        return letters[0]
    if not letters and REFUSED in words:
        return REFUSED
    return _stated(answer, options) if rules.stated_letter else None


def _late_enough(letter: str, words: Sequence[str], rules: RuleSet) -> bool:
    within = rules.letter_within_last
    return within is None or words.index(letter) >= len(words) - within


def _stated(answer: str, options: Sequence[Option]) -> str | None:
    """Read the first letter that is said to be the answer, in either case."""
    match = _STATED.search(answer)
    letter = match[1].upper() if match else None
    return letter if letter in dict(options) else None


def _by_text(answer: str, options: Sequence[Option], rules: RuleSet) -> str | None:
    """Read the only option whose text is somewhere in the answer."""
    said = answer.lower()
    limit = rules.option_text_within
    if limit is not None and len(said) > limit * sum(len(text) for _, text in options):
        return None
    letters = [letter for letter, text in options if text.lower() in said]
    return letters[0] if len(letters) == 1 else None
