"""What rules read in answers, quirks included: these rows were checked against VLMEvalKit."""

import pytest

from infra.evaluation.extraction import choice, without_punctuation, yes_or_no
from infra.evaluation.rules import RULES, RuleSet, rule_set

BEFORE = rule_set("vlmevalkit-7de2dcb")
LATER = rule_set("vlmevalkit-e8e78f05")
ANIMALS = (("A", "cat"), ("B", "dog"), ("C", "hot dog"), ("D", "狗"))
each_set = pytest.mark.parametrize("rules", RULES.values(), ids=lambda rules: rules.name)


@each_set
@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("B.", "B"),
        ("(B)", "B"),
        ("**B**", "B"),
        ("#B: dog", "B"),
        ("B\n", "B"),
        ("B, B", "B"),
        ("A dog", "A"),  # an article is read as a letter
        ("A or B", None),
        ("a cat", "A"),  # by the option's text
        ("concatenate", "A"),  # inside a longer word, too
        ("CAT", "A"),
        ("a dog", "B"),
        ("hot dog", None),  # two options are in it
        ("一只狗", "D"),
        ("b", None),
        ("'B'", None),
        ("<B>", None),
        ("B/C", None),
        ("AB", None),
        ("E", None),
        ("", None),
        ("Z", "Z"),
        ("Z or B", "B"),
        ("I'm sorry, but without the image provided, it may be B.", "Z"),
        ("Cannot determine the answer", "Z"),
        ("cannot determine the answer", None),
        ("Failed to obtain answer via API: B", None),
        ("Failed to obtain answer via API: cat", "A"),  # texts are looked for all the same
    ],
)
def test_options_are_read_in_the_same_way(answer: str, letter: str | None, rules: RuleSet) -> None:
    """What both sets read alike; the texts are long enough for the later one."""
    options = (*ANIMALS, ("G", "a long text that nobody says " * 2))

    assert letter == choice(answer, options, rules)


@pytest.mark.parametrize(
    ("answer", "before", "later"),
    [
        ("B. The animal in the picture is sitting on a chair", "B", None),
        ("B is what I see there", "B", None),
        ("B is what I see", "B", None),
        ("B is what it is", "B", None),
        ("B is what is", "B", "B"),
        ("The animal is a cat, which sits on the chair.", "A", None),
        ("The answer is B, not A", None, "B"),
        ("the Correct  Answer\nis **b**, not A or C", None, "B"),
        ("The answer is a bird, B and C", None, "A"),  # "a" is read as a letter
        ("The answer is E, not A or B", None, None),
    ],
)
def test_where_the_sets_read_options_differently(
    answer: str, before: str | None, later: str | None
) -> None:
    """A letter among the last four words; texts in short answers; a letter that is stated."""
    assert (before, later) == (choice(answer, ANIMALS, BEFORE), choice(answer, ANIMALS, LATER))


def test_an_answer_twice_as_long_as_all_options_is_still_short() -> None:
    """The limit itself is within it; the answer counts in lower case, options as they are."""
    options = (("A", "cat"), ("B", "dog"))

    assert choice("so the cat..", options, LATER) == "A"
    assert choice("so the cat...", options, LATER) is None
    assert choice("so the cat...", options, BEFORE) == "A"


def test_a_stated_letter_must_be_offered() -> None:
    """Of two options there is no C; the first statement decides."""
    options = (("A", "x"), ("B", "y"))

    assert choice("The answer is C. Or the answer is B, not A", options, LATER) is None
    assert choice("The answer is B. Or the answer is A", options, LATER) == "B"


@each_set
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Yes", "Yes"),
        ("yes.", "Yes"),
        ("YES!", "Yes"),
        ("Yes, there is", "Yes"),
        ("[no]", "No"),
        ("No no no", "No"),
        ("no-one", "No"),  # a hyphen becomes a space
        ("no-one -", "Unknown"),  # but is dropped if a space is next to one
        ("Yes and no", "Unknown"),
        ("Yes:", "Unknown"),
        ("**Yes**", "Unknown"),
        ("'yes'", "Unknown"),
        ("yes,no", "Unknown"),
        ("not", "Unknown"),
        ("maybe", "Unknown"),
        ("", "Unknown"),
    ],
)
def test_yes_and_no_are_words(answer: str, said: str, rules: RuleSet) -> None:
    """Whole words, one of both; colons, asterisks and apostrophes are no punctuation."""
    assert said == yes_or_no(answer, rules)


@pytest.mark.parametrize(
    ("text", "before", "later"),
    [
        ("a.b", "ab", "ab"),
        ("1.5", "1.5", "1.5"),
        (".5", ".5", ".5"),
        ("1998.", "1998", "1998."),
        ("5.a", "5a", "5.a"),
        ("٣.", "٣", "٣."),  # digits of any script
        ("1,000", "1000", "1000"),
        ("1,000 a-b", "1000 ab", "1000 ab"),  # a comma between digits drops all marks
        ("a-b", "a b", "a b"),
        ("a - b-c", "a  bc", "a  bc"),  # dropped everywhere if a space is next to it anywhere
        ("a's: *b*", "a's: *b*", "a's: *b*"),
        ("。，", "。，", "。，"),  # noqa: RUF001 -- full-width marks stay
        ("a" + "." * 40, "a" + "." * 8, "a" + "." * 8),  # at most 32
    ],
)
def test_punctuation_is_removed(text: str, before: str, later: str) -> None:
    """The VQA benchmarks' way, in both dialects."""
    assert (before, later) == (without_punctuation(text, BEFORE), without_punctuation(text, LATER))
