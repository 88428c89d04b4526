"""vLLM gets all questions in one call; it cannot run here, so a recording of its API answers."""

import importlib.util
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.errors import MissingEngineError, PromptError
from infra.evaluation.engine import Answer, Generation, Request
from infra.evaluation.vllm_engine import Vllm, VllmEngine, load_vllm
from tests.support.asking import answers, photo, questions


@dataclass
class _Output:
    token_ids: list[int]
    finish_reason: str


@dataclass
class _Outputs:
    outputs: list[_Output]


@dataclass
class _Llm:
    """Says what it is told, prompt by prompt, and keeps what it was asked."""

    said: dict[str, _Output]
    calls: list[tuple[list[dict[str, Any]], dict[str, Any]]] = field(default_factory=list)

    def generate(
        self, prompts: list[dict[str, Any]], sampling: dict[str, Any], *, use_tqdm: bool
    ) -> list[_Outputs]:
        """Answer by the text of the prompt."""
        assert not use_tqdm
        self.calls.append((prompts, sampling))
        marks = [next(mark for mark in self.said if mark in each["prompt"]) for each in prompts]
        return [_Outputs([self.said[mark]]) for mark in marks]


def engine(model: Path, llm: _Llm) -> VllmEngine:
    """Return an engine around a recording."""
    return VllmEngine(Vllm(llm, dict, "0.1", "bfloat16"), model, Generation(max_new_tokens=9))


def test_answers_are_taken_from_tokens(tiny_model: Path) -> None:
    """The token that ends an answer is not counted; one that was cut says so."""
    asked = [Request(index, photo((56, 56), index % 2), f"Question {index}") for index in range(3)]
    end = 406  # <|im_end|>
    llm = _Llm(
        {
            "Question 0": _Output([37, 38, end], "stop"),
            "Question 1": _Output([37, 38], "length"),
            "Question 2": _Output([end], "stop"),
        }
    )
    under_test = engine(tiny_model, llm)

    assert answers(under_test, asked) == [
        Answer(0, "FG", 2, capped=False),
        Answer(1, "FG", 2, capped=True),
        Answer(2, "", 0, capped=False),
    ]


def test_all_questions_go_in_one_call_with_equal_pictures_in_a_row(tiny_model: Path) -> None:
    """So that vLLM shares what they have in common; greedy, with the model's own ends."""
    asked = questions(5)
    llm = _Llm({"assistant": _Output([37], "length")})
    under_test = engine(tiny_model, llm)

    found = answers(under_test, asked)

    ((prompts, sampling),) = llm.calls
    pictures = [id(each["multi_modal_data"]["image"]) for each in prompts]
    runs = 1 + sum(one != other for one, other in itertools.pairwise(pictures))
    assert [answer.index for answer in found] == list(range(len(asked)))
    assert runs == len(set(pictures)) == 5
    assert all(each["prompt"].count("<|image_pad|>") == 1 for each in prompts)
    assert sampling == {
        "temperature": 0.0,
        "max_tokens": 9,
        "stop_token_ids": [404, 406],
    }


def test_the_identity_tells_the_version_and_the_precision(tiny_model: Path) -> None:
    """As for every engine: all that decides an answer, and no device."""
    told = dict(engine(tiny_model, _Llm({})).identity)

    assert (told["engine"], told["version"], told["dtype"]) == ("vllm", "0.1", "bfloat16")
    assert (told["min_pixels"], told["max_pixels"], told["max_new_tokens"]) == (3136, 50176, 9)


def test_a_bad_picture_stops_before_the_call(tiny_model: Path) -> None:
    """With the row named, as by every engine."""
    llm = _Llm({})

    with pytest.raises(PromptError, match="index 7"):
        answers(engine(tiny_model, llm), [Request(7, b"", "?")])
    assert llm.calls == []


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_the_error_says_how_to_get_it(tiny_model: Path) -> None:
    """It is no dependency, since it wants a machine of its own kind."""
    with pytest.raises(MissingEngineError, match="pip install vllm"):
        load_vllm(tiny_model)
