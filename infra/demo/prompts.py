"""The wording of questions, the same in training and in evaluation.

A small model answers well only what it was asked in training, so the benchmark wordings live
in one place.
"""

from collections.abc import Sequence

LETTERS = "ABCDEFGH"


def multiple_choice(question: str, options: Sequence[str], hint: str = "") -> str:
    """Word a multiple-choice question.

    Args:
        question: The question itself.
        options: Answers to choose from, in order.
        hint: Text shown before the question, if any.

    Returns:
        The prompt, to be answered by one letter.
    """
    head = f"Hint: {hint}\n" if hint else ""
    pairs = zip(LETTERS, options, strict=False)
    listed = "".join(f"{letter}. {option}\n" for letter, option in pairs)
    tail = "Please select the correct answer from the options above."
    return f"{head}Question: {question}\nOptions:\n{listed}{tail}"


def yes_no(question: str) -> str:
    """Word a question to be answered by yes or no.

    Args:
        question: The question itself.

    Returns:
        The prompt.
    """
    return f"{question} Please answer yes or no."


def short_answer(question: str) -> str:
    """Word a question to be answered in a word or two.

    Args:
        question: The question itself.

    Returns:
        The prompt.
    """
    wish = "Please try to answer the question with short words or phrases if possible."
    return f"{question}\n{wish}"
