"""The committed model: its files, its tokenizer, and that it has learnt what it is for."""

import json

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoProcessor, AutoTokenizer, Qwen2VLForConditionalGeneration

from infra.demo import MODEL_DIR, modeldef
from infra.demo.conversations import converse
from infra.demo.draw import render
from infra.demo.grammar import write_story
from infra.demo.measure import accuracy, perplexity, unigram_perplexity
from infra.demo.modelfiles import hub_name
from infra.demo.seeds import stream
from infra.demo.tokenizer import SPECIAL_TOKENS, load_tokenizer, special_id
from infra.demo.world import draw_scene

_SEED = 77
_MOST_BYTES = 25_000_000


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Return the raw tokenizer."""
    return load_tokenizer(MODEL_DIR)


@pytest.fixture(scope="module")
def model() -> Qwen2VLForConditionalGeneration:
    """Return the committed model in fp32, having checked that every key found its place."""
    model, report = Qwen2VLForConditionalGeneration.from_pretrained(
        MODEL_DIR, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval()


def test_the_weights_are_small_and_the_model_large_enough(
    model: Qwen2VLForConditionalGeneration,
) -> None:
    """About 5 to 10 million parameters in 25 MB at most."""
    assert 5e6 < sum(parameter.numel() for parameter in model.parameters()) < 1e7
    assert (MODEL_DIR / "model.safetensors").stat().st_size < _MOST_BYTES


def test_the_descriptions_are_those_of_the_code() -> None:
    """The committed configuration is flat, and what `modeldef` says."""
    for name, content in (
        ("config.json", modeldef.model_config()),
        ("generation_config.json", modeldef.generation_config()),
        ("preprocessor_config.json", modeldef.preprocessor_config()),
        ("tokenizer_config.json", modeldef.tokenizer_config()),
    ):
        assert json.loads((MODEL_DIR / name).read_text()) == content
    assert "text_config" not in modeldef.model_config()


def test_names_are_those_of_the_hub() -> None:
    """Transformers 5 renames the parts of the model; the file keeps the published names."""
    assert hub_name("model.language_model.norm.weight") == "model.norm.weight"
    assert hub_name("model.visual.merger.ln_q.bias") == "visual.merger.ln_q.bias"
    assert hub_name("lm_head.weight") == "lm_head.weight"


def test_transformers_tokenizes_like_the_raw_tokenizer(tokenizer: Tokenizer) -> None:
    """Training used the raw tokenizer, everyone else uses transformers'."""
    theirs = AutoTokenizer.from_pretrained(MODEL_DIR)
    rng = stream(_SEED, "parity")
    texts = [write_story(rng) for _ in range(5)]
    texts += [turn.question for turn in converse(draw_scene(rng), rng)]
    texts += [
        "<|im_start|>user\nIt's 42 km —  déjà vu!\n\n\tYES<|im_end|>",
        "".join(SPECIAL_TOKENS),
    ]
    for text in texts:
        assert theirs(text)["input_ids"] == tokenizer.encode(text).ids
        assert theirs.decode(tokenizer.encode(text).ids) == text


def test_special_tokens_have_their_ids(tokenizer: Tokenizer) -> None:
    """The configuration and the tokenizer agree."""
    for token in SPECIAL_TOKENS:
        assert tokenizer.token_to_id(token) == special_id(token)


def test_the_chat_template_is_qwen2_vls() -> None:
    """A default system message, a marker for the image, and room for the answer."""
    processor = AutoProcessor.from_pretrained(MODEL_DIR)
    parts = [{"type": "image"}, {"type": "text", "text": "Hi"}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": "Yes"}]
    told = processor.apply_chat_template(messages[:1], add_generation_prompt=True)
    whole = processor.apply_chat_template(messages)
    start = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    asked = (
        f"{start}<|vision_start|><|image_pad|><|vision_end|>Hi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert told == asked
    assert whole == f"{asked}Yes<|im_end|>\n"


@pytest.mark.parametrize(
    ("kind", "least"),
    [("yes_no", 0.75), ("reading", 0.6), ("choice", 0.6), ("circular", 0.5), ("science", 0.55)],
)
def test_it_answers_well_above_chance(
    model: Qwen2VLForConditionalGeneration, tokenizer: Tokenizer, kind: str, least: float
) -> None:
    """Chance is 1/2 for yes or no, about 1/3 for options, below 1/100 for reading and circular."""
    assert accuracy(model, tokenizer, kind, 64, _SEED) > least


def test_it_models_the_grammars_text(
    model: Qwen2VLForConditionalGeneration, tokenizer: Tokenizer
) -> None:
    """Held-out stories surprise it far less than token frequencies would."""
    mine = perplexity(model, tokenizer, 6, _SEED)
    assert mine < 6
    assert mine * 15 < unigram_perplexity(tokenizer, 64, _SEED)


def test_it_answers_through_the_processor_and_generate(
    model: Qwen2VLForConditionalGeneration, tokenizer: Tokenizer
) -> None:
    """The public path gives a well-formed answer that ends by itself."""
    processor = AutoProcessor.from_pretrained(MODEL_DIR)
    parts = [
        {"type": "image"},
        {"type": "text", "text": "Is there a circle in the image? Please answer yes or no."},
    ]
    text = processor.apply_chat_template(
        [{"role": "user", "content": parts}], add_generation_prompt=True
    )
    image = render(draw_scene(stream(_SEED, "generate")))
    inputs = processor(text=[text], images=[image], return_tensors="pt")
    told = model.generate(**inputs, max_new_tokens=8)[0, inputs["input_ids"].shape[1] :].tolist()
    assert told[-1] == special_id("<|im_end|>")
    assert tokenizer.decode(told) in {"Yes", "No"}
