"""Named sets of rules for reading answers, each of which never changes.

VLMEvalKit changes its rules without a name for them, so its scores of different dates cannot be
compared.  Here a set is named by the commit of VLMEvalKit that it agrees with, as it is without a
judge model: what no rule reads is wrong.  The default is the one of the reference card's release.

The later set differs in four things: 2025-05-13 a period after a digit stays ("1998." is not "1998"
any more); 2025-08-04 a lone letter counts only near the end, and option texts are not looked for in
long answers; 2026-06-17 a letter is also read in "the answer is B".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from infra.errors import UnknownRulesError

DEFAULT_RULES = "vlmevalkit-7de2dcb"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """What tells one dialect of the rules from another.

    Attributes:
        name: What results are labelled with.
        letter_within_last: The letter of an option is read only if it first comes among so many
            words at the end of the answer; None: wherever it is.
        option_text_within: Texts of options are looked for only in answers up to so many times as
            long as all of them together; None: in all.
        stated_letter: Whether a letter is read in "answer is B", where it is not clear otherwise.
        period_after_digit: Whether a period after a digit stays when punctuation is removed.
    """

    name: str
    letter_within_last: int | None = None
    option_text_within: int | None = None
    stated_letter: bool = False
    period_after_digit: bool = False


RULES: Mapping[str, RuleSet] = MappingProxyType(
    {
        rules.name: rules
        for rules in (
            RuleSet(name=DEFAULT_RULES),
            RuleSet(
                name="vlmevalkit-e8e78f05",
                letter_within_last=4,
                option_text_within=2,
                stated_letter=True,
                period_after_digit=True,
            ),
        )
    }
)


def rule_set(name: str) -> RuleSet:
    """Return the rules of this name.

    Raises:
        UnknownRulesError: There are none; the message lists those that there are.
    """
    if name not in RULES:
        raise UnknownRulesError(
            f"There are no rules of the name {name!r}. Known are {', '.join(RULES)}; a set is "
            "named by the commit of VLMEvalKit that it agrees with."
        )
    return RULES[name]
