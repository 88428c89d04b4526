"""The wording is VLMEvalKit's, to the character: it is part of what is measured."""

from dataclasses import replace

import pytest

from infra.evaluation.prompts import prompt
from infra.evaluation.question import Question

PLAIN = Question(
    index=0,
    text="What is it?",
    hint=None,
    options=(("A", "a cat"), ("B", "a dog")),
    answer="A",
    answers=(),
    categories=(),
    l2_category=None,
    split=None,
    image="",
)


def test_a_choice_lists_its_options() -> None:
    """Question, options and request, each on its line."""
    expected = (
        "Question: What is it?\nOptions:\nA. a cat\nB. a dog\n"
        "Please select the correct answer from the options above."
    )

    assert expected == prompt(PLAIN, "mcq")


def test_a_hint_comes_first() -> None:
    """A hint has a line before the question."""
    asked = prompt(replace(PLAIN, hint="It purrs."), "mcq")

    assert asked.startswith("Hint: It purrs.\nQuestion: What is it?\n")


def test_letters_are_those_of_the_table() -> None:
    """An option that the row lacks leaves a gap, and the others keep their letters."""
    asked = prompt(replace(PLAIN, options=(("A", "x"), ("D", "y"))), "mcq")

    assert "Options:\nA. x\nD. y\nPlease" in asked


@pytest.mark.parametrize(
    "changed",
    [
        replace(PLAIN, text="这是什么"),
        replace(PLAIN, hint="猫"),
        replace(PLAIN, options=(("A", "a cat"), ("B", "狗"))),
        replace(PLAIN, text="\u4e00"),
        replace(PLAIN, text="\u9fff"),
    ],
)
def test_anything_chinese_makes_the_request_chinese(changed: Question) -> None:
    """In question, hint or options, from the first to the last character of the range."""
    assert prompt(changed, "mcq").endswith("\n请直接回答选项字母。")


@pytest.mark.parametrize("text", ["\u3fff", "\ua000", "なに"])
def test_other_scripts_leave_the_request_english(text: str) -> None:
    """Just outside of the range, and in Japanese without kanji."""
    assert prompt(replace(PLAIN, text=text), "mcq").endswith("options above.")


def test_without_options_nothing_is_requested() -> None:
    """Then the prompt is the question alone, without white space after it."""
    assert prompt(replace(PLAIN, options=(), text="What is it? "), "mcq") == "Question: What is it?"


def test_yes_or_no_is_asked_for_on_the_same_line() -> None:
    """The question is left as it is, white space included."""
    asked = prompt(replace(PLAIN, text="Is there a cat? "), "yes_no")

    assert asked == "Is there a cat?  Please answer yes or no."


def test_an_open_answer_is_to_be_short() -> None:
    """The wish is on a line of its own."""
    wish = "Please try to answer the question with short words or phrases if possible."

    assert prompt(replace(PLAIN, text="What does it say?"), "vqa") == f"What does it say?\n{wish}"
