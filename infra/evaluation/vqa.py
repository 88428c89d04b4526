"""Open answers: brought to a common form, and compared with those of ten annotators."""

from collections.abc import Sequence

from infra.evaluation.contractions import CONTRACTIONS
from infra.evaluation.extraction import without_punctuation
from infra.evaluation.rules import RuleSet

_NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
_ARTICLES = frozenset({"a", "an", "the"})
_ENOUGH = 3
"""So many other annotators who say the same make an answer fully right."""


def normalised(answer: str, rules: RuleSet) -> str:
    """Return ``answer`` in the form in which answers are compared.

    Lower case, no punctuation and no articles, numbers up to ten in digits, contractions with their
    apostrophes, one space between words.
    """
    line = answer.replace("\n", " ").replace("\t", " ").strip()
    words = without_punctuation(line, rules).lower().split()
    counted = [_NUMBERS.get(word, word) for word in words]
    return " ".join(CONTRACTIONS.get(word, word) for word in counted if word not in _ARTICLES)


def agreement(answer: str, annotators: Sequence[str]) -> float:
    """Return what ``answer`` is worth to these annotators, 0 to 1; all of them normalised.

    Each annotator is left out in turn, and the answer is worth a third for each of the others who
    says the same, at most 1; the mean over those left out counts.  An annotator alone, and none at
    all, is worth 0.
    """
    if not annotators:
        return 0.0
    same = sum(annotator == answer for annotator in annotators)
    others = len(annotators) - same
    # Left out in turn are `same` who agree, which leaves one less, and `others` who do not.  In
    # whole numbers until the end: .3 is to be .3.
    thirds = same * min(_ENOUGH, same - 1) + others * min(_ENOUGH, same)
    return thirds / (_ENOUGH * len(annotators))
