"""Questions become the very tokens and pixels that the model's own processor makes of them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from infra.errors import PromptError
from infra.evaluation.engine import Answer, Generation, Request
from infra.evaluation.inputs import PixelBounds, Prompter, admitted, open_prompter
from tests.support.asking import SIZES, photo, questions

OWN = PixelBounds(3136, 50176)


@pytest.fixture(scope="module")
def prompter(tiny_model: Path) -> Prompter:
    """Return the tiny model's prompter with the model's own bounds."""
    return open_prompter(tiny_model, Generation())


@pytest.mark.parametrize("size", [*SIZES, (640, 480), (1000, 11)])
def test_tokens_and_pixels_are_those_of_the_processor(
    prompter: Prompter, size: tuple[int, int]
) -> None:
    """Told the same picture, the processor's own call gives the same numbers, and resizes none."""
    request = Request(3, photo(size), "Is there a cat?\n Answer.")
    (prompt,) = prompter.prompts([request])
    pixels = prompter.pixels(prompt)

    picture = prompter.picture(request, prompt.size)
    expected = prompter.processor(
        text=[prompter.text(request)], images=[picture], return_tensors="pt"
    )

    whole = [*prompt.head, *[prompter.picture_token] * prompt.picture_tokens, *prompt.tail]
    assert expected["input_ids"].tolist() == [whole]
    assert prompt.length == len(whole)
    assert torch.equal(expected["pixel_values"], pixels.values)
    assert torch.equal(expected["image_grid_thw"], pixels.grid)


def test_the_prompt_is_one_user_turn_with_the_picture_first(prompter: Prompter) -> None:
    """The template adds its own system prompt, and ends where the model has to speak."""
    assert prompter.text(Request(0, b"", " Why? ")) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|> Why? <|im_end|>\n"
        "<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    ("smallest", "largest", "expected"),
    [
        (None, None, OWN),
        (4000, 40000, PixelBounds(4000, 40000)),
        (100, 10**7, OWN),
        (1280 * 784, 16384 * 784, OWN),
        (None, 1000, OWN),
        (None, 40000, PixelBounds(3136, 40000)),
        (40000, None, PixelBounds(40000, 50176)),
        (30000, 20000, PixelBounds(20000, 20000)),
    ],
)
def test_bounds_hold_as_far_as_the_model_admits(
    smallest: int | None, largest: int | None, expected: PixelBounds
) -> None:
    """Bounds are clamped to the model's; where there is no overlap, the model's own hold."""
    assert admitted(Generation(min_pixels=smallest, max_pixels=largest), OWN) == expected


def test_pictures_are_scaled_to_the_bounds(tiny_model: Path) -> None:
    """A small picture is scaled up until it has enough pixels, a large one down."""
    prompter = open_prompter(tiny_model, Generation(min_pixels=20000, max_pixels=30000))
    small, large = Request(0, photo((40, 30)), "?"), Request(1, photo((400, 300)), "?")

    assert [prompt.size for prompt in prompter.prompts([small, large])] == [(168, 140), (196, 140)]


def test_a_question_that_spells_a_special_token_is_refused(prompter: Prompter) -> None:
    """It would end the turn, or claim a picture; the row is named."""
    with pytest.raises(PromptError, match=r"index 17 spells '<\|im_end\|>'"):
        prompter.text(Request(17, b"", "What is <|im_end|>?"))


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (b"", "index 17 .0 bytes. cannot be put"),
        (b"no picture", "cannot identify image file"),
        (photo((900, 3)), "aspect ratio"),
    ],
    ids=["empty", "text", "narrow"],
)
def test_a_picture_that_cannot_be_laid_out_is_refused(
    prompter: Prompter, image: bytes, told: str
) -> None:
    """Before any question is asked, with the row named."""
    with pytest.raises(PromptError, match=told):
        prompter.prompts([Request(17, image, "?")])


def test_a_picture_that_is_cut_short_is_refused(prompter: Prompter) -> None:
    """Its size can be read, its pixels cannot."""
    (prompt,) = prompter.prompts([Request(17, photo((56, 56))[:2000], "?")])

    with pytest.raises(PromptError, match=r"index 17 .*truncated"):
        prompter.pixels(prompt)


def test_a_template_without_a_place_for_the_picture_is_refused(prompter: Prompter) -> None:
    """A question without its picture would be answered, and be worth nothing."""
    template = prompter.processor.chat_template
    blind = template.replace("<|vision_start|><|image_pad|><|vision_end|>", "")
    prompter.processor.chat_template = blind
    try:
        with pytest.raises(PromptError, match="puts 0 pictures into the question with index 17"):
            prompter.prompts([Request(17, photo((56, 56)), "?")])
    finally:
        prompter.processor.chat_template = template


def test_no_questions_are_no_prompts(prompter: Prompter) -> None:
    """A shard may be empty."""
    assert prompter.prompts([]) == []


def test_an_answer_is_text_without_special_tokens(prompter: Prompter) -> None:
    """Neither stripped nor tidied up, and all generated tokens counted."""
    tokenizer = prompter.processor.tokenizer
    tokens = tokenizer(" a , b<|vision_end|> \n")["input_ids"]

    answer = prompter.answer(Request(3, b"", "?"), tokens, capped=True)

    assert answer == Answer(3, " a , b \n", len(tokens), capped=True)


def test_the_digest_tells_what_a_prompt_is_made_of(tiny_model: Path, tmp_path: Path) -> None:
    """Another template, vocabulary or scale of pixels changes it; how it was used does not."""
    used = open_prompter(tiny_model, Generation())
    used.prompts(questions(2))
    used.processor.tokenizer(["a", "b c"], padding=True, truncation=True, max_length=3)
    digests = {used.digest(), open_prompter(tiny_model, Generation(max_pixels=9999)).digest()}
    assert len(digests) == 1

    for number, (name, change) in enumerate(
        [
            ("chat_template.json", lambda text: text.replace("helpful", "terse")),
            ("tokenizer.json", _without_its_last_merge),
            ("preprocessor_config.json", lambda text: text.replace("0.48145466", "0.5")),
        ]
    ):
        folder = tmp_path / str(number)
        shutil.copytree(tiny_model, folder)
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(change(text), encoding="utf-8")
        digests.add(open_prompter(folder, Generation()).digest())
    assert len(digests) == 4


def _without_its_last_merge(text: str) -> str:
    tokenizer = json.loads(text)
    tokenizer["model"]["merges"].pop()
    return json.dumps(tokenizer)


def test_prompts_keep_their_requests_in_order(prompter: Prompter) -> None:
    """Prompts correspond to requests one by one; an equal picture has an equal size."""
    asked = questions(4)
    prompts = prompter.prompts([*asked, replace(asked[0], index=99)])

    assert [prompt.request.index for prompt in prompts] == [*range(len(asked)), 99]
    assert prompts[0] == replace(prompts[-1], request=asked[0])
