"""Open answers are compared in a common form, and count as much as annotators agree."""

import pytest

from infra.evaluation.contractions import CONTRACTIONS
from infra.evaluation.rules import rule_set
from infra.evaluation.vqa import agreement, normalised

BEFORE = rule_set("vlmevalkit-7de2dcb")
LATER = rule_set("vlmevalkit-e8e78f05")


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        ("  The STOP sign.\n", "stop sign"),
        ("a\tstop\nsign", "stop sign"),
        ("An apple, a day", "apple day"),
        ("the", ""),
        ("Ten", "10"),
        ("none", "0"),
        ("twenty one", "twenty 1"),
        ("dont", "don't"),
        ("don't", "don't"),
        ("somebody'd", "somebodyd"),  # the list's own oddity
        ("Im", "im"),  # entries with a capital never apply
        ("1,000", "1000"),
        ("coca-cola", "coca cola"),
        ("", ""),
    ],
)
def test_answers_are_brought_to_one_form(answer: str, form: str) -> None:
    """Case, punctuation, articles, small numbers and contractions do not matter."""
    assert [form, form] == [normalised(answer, rules) for rules in (BEFORE, LATER)]


def test_a_year_with_a_period_tells_the_sets_apart() -> None:
    """The change of 2025-05-13, for which scores of TextVQA moved."""
    assert [normalised("1998.", rules) for rules in (BEFORE, LATER)] == ["1998", "1998."]


def test_the_list_of_contractions_is_whole() -> None:
    """As published: 120 entries, of which the last word is as the list has it."""
    assert len(CONTRACTIONS) == 120
    assert CONTRACTIONS["youve"] == "you've"


@pytest.mark.parametrize(
    ("same", "worth"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (7, 1.0), (10, 1.0)]
)
def test_ten_annotators_are_left_out_in_turn(same: int, worth: float) -> None:
    """Exactly: .3 for one who agrees, not .30000000000000004."""
    assert worth == agreement("x", ["x"] * same + ["y"] * (10 - same))


@pytest.mark.parametrize(
    ("annotators", "worth"), [([], 0.0), (["x"], 0.0), (["x", "x"], 1 / 3), (["y", "x"], 1 / 6)]
)
def test_fewer_annotators_are_counted_the_same_way(annotators: list[str], worth: float) -> None:
    """One alone is left out, and nobody remains: an answer that is no list is worth nothing."""
    assert worth == agreement("x", annotators)
