"""Rules have names, and never change under one."""

import pytest

from infra.errors import UnknownRulesError
from infra.evaluation.rules import DEFAULT_RULES, RULES, RuleSet, rule_set


def test_the_default_is_what_the_reference_card_was_made_with() -> None:
    """None of the later changes is in it."""
    assert rule_set("vlmevalkit-7de2dcb") == RuleSet(name="vlmevalkit-7de2dcb")
    assert DEFAULT_RULES == "vlmevalkit-7de2dcb"


def test_the_later_rules_are_what_they_are() -> None:
    """Numbers were published under this name: another rule needs another one."""
    assert rule_set("vlmevalkit-e8e78f05") == RuleSet(
        name="vlmevalkit-e8e78f05",
        letter_within_last=4,
        option_text_within=2,
        stated_letter=True,
        period_after_digit=True,
    )


def test_an_unknown_name_is_answered_with_those_that_are_known() -> None:
    """As on the command line, where names are typed."""
    with pytest.raises(UnknownRulesError) as caught:
        rule_set("vlmevalkit")

    assert [name for name in RULES if name not in str(caught.value)] == []
    assert "'vlmevalkit'" in str(caught.value)
