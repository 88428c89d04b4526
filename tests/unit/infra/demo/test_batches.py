"""Packing and patches: training must see what transformers' own path sees."""

import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import AutoProcessor, Qwen2VLConfig, Qwen2VLForConditionalGeneration

from infra.demo import MODEL_DIR
from infra.demo.batches import IGNORED, Packer
from infra.demo.draw import render
from infra.demo.forward import answer_logits
from infra.demo.patches import to_patches
from infra.demo.questions import Turn
from infra.demo.seeds import stream
from infra.demo.tokenizer import load_tokenizer
from infra.demo.world import draw_scene

_TURNS = (Turn("What colour is the star?", "red"), Turn("What shape is red?", "star"))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Return the committed tokenizer."""
    return load_tokenizer(MODEL_DIR)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Return one picture."""
    return render(draw_scene(stream(4, "picture")))


@pytest.fixture(scope="module")
def model() -> Qwen2VLForConditionalGeneration:
    """Return an untrained model of the committed shape."""
    torch.manual_seed(0)
    return Qwen2VLForConditionalGeneration(Qwen2VLConfig.from_pretrained(MODEL_DIR)).float()


def _processed(picture: Image.Image, turn: Turn) -> dict[str, torch.Tensor]:
    processor = AutoProcessor.from_pretrained(MODEL_DIR)
    parts = [{"type": "image"}, {"type": "text", "text": turn.question}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": parts}], add_generation_prompt=True
    )
    return dict(processor(text=[text], images=[picture], return_tensors="pt"))


def test_patches_are_those_of_the_processor(picture: Image.Image) -> None:
    """Training and evaluation see the same numbers."""
    theirs = _processed(picture, _TURNS[0])["pixel_values"]
    torch.testing.assert_close(to_patches(picture), theirs, rtol=0, atol=1e-5)


def test_a_packed_branch_has_the_ids_of_the_processor(
    tokenizer: Tokenizer, picture: Image.Image
) -> None:
    """Prefix and branch together are the prompt of an evaluation, then the answer."""
    batch = Packer(tokenizer, 128).pack([[(turn,) for turn in _TURNS]])
    for number, turn in enumerate(_TURNS, start=1):
        kept = (batch.branch[0] == 0) | (batch.branch[0] == number)
        answer = tokenizer.encode(f"{turn.answer}<|im_end|>").ids
        prompt = _processed(picture, turn)["input_ids"][0].tolist()
        assert batch.ids[0][kept].tolist() == prompt + answer
        labels = batch.labels[0][batch.branch[0] == number]
        assert labels[labels != IGNORED].tolist() == answer


def test_a_branch_gives_the_logits_it_would_give_alone(
    tokenizer: Tokenizer, picture: Image.Image, model: Qwen2VLForConditionalGeneration
) -> None:
    """Questions that share a picture do not see each other."""
    patches = to_patches(picture)[None]
    batch = Packer(tokenizer, 128).pack([[(turn,) for turn in _TURNS]])
    with torch.no_grad():
        logits, _, place = answer_logits(model, batch, patches)
        for number, turn in enumerate(_TURNS, start=1):
            inputs = _processed(picture, turn)
            alone = model(**inputs).logits[0, -1]
            packed = logits[(place[1] == number)][0]
            torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)


def test_turns_of_one_branch_follow_each_other(tokenizer: Tokenizer) -> None:
    """A conversation is laid out in the chat format, and what does not fit is left out."""
    packer = Packer(tokenizer, 128)
    batch = packer.pack([[_TURNS]])
    text = tokenizer.decode(batch.ids[0][batch.branch[0] == 1].tolist(), skip_special_tokens=False)
    assert text == (
        "What colour is the star?<|im_end|>\n<|im_start|>assistant\nred<|im_end|>\n"
        "<|im_start|>user\nWhat shape is red?<|im_end|>\n<|im_start|>assistant\nstar<|im_end|>"
    )
    crowded = packer.pack([[(turn,) for turn in _TURNS * 9]])
    assert int(crowded.branch[crowded.branch < 100].max()) < 18
