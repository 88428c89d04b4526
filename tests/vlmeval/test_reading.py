"""Ten thousand answers of each kind, read by our rules and by VLMEvalKit's own functions."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from infra.evaluation.extraction import choice, yes_or_no
from infra.evaluation.rules import DEFAULT_RULES, RuleSet, rule_set
from infra.evaluation.vqa import agreement, normalised
from tests.vlmeval.answers import ChoiceCase, OpenCase, choice_case, open_case, yes_no_case
from tests.vlmeval.conftest import Oracle

COUNT = 10_000
STATED = re.compile(r"(?i)(?:correct\s+)?answer\s+is\s+\**([ABCD])\**")  # of #1552

BEFORE = rule_set(DEFAULT_RULES)
LATER = rule_set("vlmevalkit-e8e78f05")
PACKAGED = replace(LATER, stated_letter=False)  # the package is from before #1552


@pytest.fixture(scope="module")
def choice_cases() -> list[ChoiceCase]:
    """Return answers to multiple-choice questions."""
    rng = Random(1)
    return [choice_case(rng) for _ in range(COUNT)]


@pytest.fixture(scope="module")
def yes_no_cases() -> list[str]:
    """Return answers to yes/no questions."""
    rng = Random(2)
    return [yes_no_case(rng) for _ in range(COUNT)]


@pytest.fixture(scope="module")
def open_cases() -> list[OpenCase]:
    """Return answers to open questions."""
    rng = Random(3)
    return [open_case(rng) for _ in range(COUNT)]


def differences(cases: Sequence[Any], ours: Sequence[Any], theirs: Sequence[Any]) -> list[Any]:
    """Return the cases that are read differently, with both readings."""
    read = zip(cases, ours, theirs, strict=True)
    return [(case, our, their) for case, our, their in read if our != their]


def chosen(cases: Sequence[ChoiceCase], rules: RuleSet) -> list[str | None]:
    """Read all answers to multiple-choice questions."""
    return [choice(case.answer, tuple(case.options.items()), rules) for case in cases]


def test_options_are_chosen_as_before(choice_cases: list[ChoiceCase], earlier: Oracle) -> None:
    """The default rules agree with VLMEvalKit at their date on every answer, of every outcome."""
    theirs = earlier("choices", [case._asdict() for case in choice_cases])

    assert differences(choice_cases, chosen(choice_cases, BEFORE), theirs) == []
    assert min(Counter(theirs)[letter] for letter in ("A", "B", "C", "D", "E", "Z", None)) > 100


def test_options_are_chosen_as_packaged(choice_cases: list[ChoiceCase], packaged: Oracle) -> None:
    """The later rules agree with the package on every answer, but for the change it has not.

    Wherever they differ, the answer says "answer is X", and X is what is read.
    """
    theirs = packaged("choices", [case._asdict() for case in choice_cases])
    found = differences(choice_cases, chosen(choice_cases, LATER), theirs)

    assert differences(choice_cases, chosen(choice_cases, PACKAGED), theirs) == []
    assert len(differences(choice_cases, chosen(choice_cases, BEFORE), theirs)) > 100

    assert len(found) > 100
    for case, ours, _ in found:
        stated = STATED.search(case.answer)
        assert stated is not None, case
        assert ours == stated[1].upper(), case


@pytest.mark.parametrize("rules", [BEFORE, LATER], ids=lambda rules: rules.name)
def test_yes_and_no_are_read_alike(
    rules: RuleSet, yes_no_cases: list[str], earlier: Oracle, packaged: Oracle
) -> None:
    """Both sets agree with VLMEvalKit at their dates on every answer."""
    theirs = (earlier if rules is BEFORE else packaged)("yes_no", yes_no_cases)

    assert differences(yes_no_cases, [yes_or_no(one, rules) for one in yes_no_cases], theirs) == []
    assert min(Counter(theirs)[said] for said in ("Yes", "No", "Unknown")) > 500


@pytest.mark.parametrize("rules", [BEFORE, LATER], ids=lambda rules: rules.name)
def test_open_answers_are_worth_the_same(
    rules: RuleSet, open_cases: list[OpenCase], earlier: Oracle, packaged: Oracle
) -> None:
    """Both sets agree on the normal form of every answer, and on what it is worth."""
    asked = [{"prediction": case.prediction, "answer": str(case.cell)} for case in open_cases]
    theirs = (earlier if rules is BEFORE else packaged)("open_answers", asked)

    ours = []
    for case in open_cases:
        answers = case.cell if isinstance(case.cell, list) else []
        said = normalised(case.prediction, rules)
        ours.append((said, agreement(said, [normalised(one, rules) for one in answers])))
    words = [said for said, _ in theirs]
    assert differences(open_cases, [said for said, _ in ours], words) == []
    assert [worth for _, worth in ours] == pytest.approx([worth for _, worth in theirs], abs=1e-12)
    assert (
        min(Counter(round(worth, 6) for _, worth in theirs)[n] for n in (0, 0.3, 0.6, 0.9, 1)) > 50
    )


def test_the_rule_sets_differ(yes_no_cases: list[str], open_cases: list[OpenCase]) -> None:
    """Where both sets read alike, agreeing with each at its date would show nothing."""
    open_ones = [case.prediction for case in open_cases]

    assert sum(normalised(one, BEFORE) != normalised(one, LATER) for one in open_ones) > 100
    assert sum(yes_or_no(one, BEFORE) != yes_or_no(one, LATER) for one in yes_no_cases) > 0
