"""What a model is asked, word for word as VLMEvalKit asks Qwen2-VL.

The wording is part of the measurement: another one moves scores by points.  It is the same at both
versions that the rule sets are named after.
"""

import re

from infra.evaluation.benchmark import Kind
from infra.evaluation.question import Question

_CHOOSE = "Please select the correct answer from the options above."
_CHOOSE_IN_CHINESE = "请直接回答选项字母。"
_YES_OR_NO = "Please answer yes or no."
_BRIEFLY = "Please try to answer the question with short words or phrases if possible."
_CHINESE = re.compile("[\u4e00-\u9fff]")


def prompt(question: Question, kind: Kind) -> str:
    """Return the text that follows the image.

    Args:
        question: What is asked.
        kind: How it is asked.
    """
    match kind:
        case "mcq":
            return _multiple_choice(question)
        case "yes_no":
            return f"{question.text} {_YES_OR_NO}"
        case "vqa":
            return f"{question.text}\n{_BRIEFLY}"


def _multiple_choice(question: Question) -> str:
    """Lay out hint, question and options; anything Chinese in them makes the request Chinese."""
    lines = [] if question.hint is None else [f"Hint: {question.hint}"]
    lines.append(f"Question: {question.text}")
    if question.options:
        lines += ["Options:", *(f"{letter}. {text}" for letter, text in question.options)]
        chinese = _CHINESE.search("\n".join(lines))
        lines.append(_CHOOSE_IN_CHINESE if chinese else _CHOOSE)
    return "\n".join(lines).rstrip()
