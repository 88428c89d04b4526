"""transformers' own loader is heard to its last key, and leaves nothing behind."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen2VLForConditionalGeneration
from transformers.utils import logging as chatter

from infra.calibration.conversations import open_processor
from infra.models.loading import LoadedKeys, keys_of, load, logits_of
from tests.support.models import Weights, as_resaved, image_sample, rewritten, text_sample, without

Q_PROJ = "model.layers.1.self_attn.q_proj.weight"


@pytest.fixture(scope="module")
def weights(tiny_model: Path) -> Weights:
    """Return the tiny model's tensors by source name."""
    return load_file(tiny_model / "model.safetensors")


def shapes_of(weights: Weights) -> dict[str, tuple[int, ...]]:
    """Return what `keys_of` wants to know."""
    return {name: tuple(tensor.shape) for name, tensor in weights.items()}


@pytest.mark.parametrize("rename", [dict, as_resaved])
def test_a_sound_checkpoint_has_no_wrong_key(
    tiny_model: Path, weights: Weights, rename: Callable[[Weights], Weights]
) -> None:
    """Source names and re-saved names are both all found."""
    assert not keys_of(tiny_model, shapes_of(rename(weights))).wrong


def test_each_wrong_key_is_named_under_its_fault(tiny_model: Path, weights: Weights) -> None:
    """A renamed tensor is missing under one name and unexpected under the other."""
    shapes = shapes_of(weights)
    shapes["model.layers.1.self_attn.query.weight"] = shapes.pop(Q_PROJ)
    shapes["lm_head.weight"] = (7, 256)

    keys = keys_of(tiny_model, shapes)

    assert keys == LoadedKeys(
        missing=("model.language_model.layers.1.self_attn.q_proj.weight",),
        unexpected=("model.language_model.layers.1.self_attn.query.weight",),
        mismatched=("lm_head.weight",),
    )


def test_a_tied_head_is_not_missing(tiny_model: Path, weights: Weights, tmp_path: Path) -> None:
    """Where the config ties the head to the embeddings, nobody misses its tensor."""
    folder = rewritten(tiny_model, tmp_path / "tied", config={"tie_word_embeddings": True})

    assert not keys_of(folder, shapes_of(without("lm_head.weight")(weights))).wrong


def test_what_the_config_says_of_quantization_is_left_aside(
    tiny_model: Path, weights: Weights, tmp_path: Path
) -> None:
    """Unpacked weights load as a plain model although their folder is a quantized one."""
    quantized = {"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}}
    folder = rewritten(tiny_model, tmp_path / "quantized", config=quantized)

    assert not keys_of(folder, shapes_of(weights)).wrong
    assert "quantization_config" in json.loads((folder / "config.json").read_text())


@torch.no_grad()
def test_logits_are_those_of_the_real_model(tiny_model: Path, weights: Weights) -> None:
    """Loading from tensors gives the very model that a client loads from the folder."""
    client = Qwen2VLForConditionalGeneration.from_pretrained(tiny_model, dtype=torch.float32).eval()
    ours = load(tiny_model, weights, device="cpu", dtype=torch.float32).model
    text, image = text_sample(9), image_sample(open_processor(tiny_model))

    expected = client(input_ids=text.input_ids[None]).logits[0]

    assert torch.equal(logits_of(ours, text), expected)
    assert torch.equal(logits_of(ours, image), logits_of(client, image))
    assert logits_of(ours, image).shape == (len(image.input_ids), 512)


def test_the_loader_is_quiet_and_its_settings_are_as_before(
    tiny_model: Path, weights: Weights, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed over wrong keys, since they are returned; then talk is as it was."""
    before = chatter.get_verbosity(), chatter.is_progress_bar_enabled()

    keys_of(tiny_model, shapes_of(without(Q_PROJ)(weights)))

    assert (chatter.get_verbosity(), chatter.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")


def test_settings_are_as_before_after_an_error(tiny_model: Path, weights: Weights) -> None:
    """An exception out of the loader does not leave it silent for ever."""
    before = chatter.get_verbosity(), chatter.is_progress_bar_enabled()

    with pytest.raises((RuntimeError, ValueError)):
        load(tiny_model, weights, device="no-such-device", dtype=torch.float32)

    assert (chatter.get_verbosity(), chatter.is_progress_bar_enabled()) == before


def test_models_may_be_loaded_side_by_side(tiny_model: Path, weights: Weights) -> None:
    """As shards do in their threads: each is what it is alone, and torch stays what it was."""
    alone = load(tiny_model, weights, device="cpu", dtype=torch.bfloat16).model
    prompt = image_sample(open_processor(tiny_model))
    expected = logits_of(alone, prompt)

    with ThreadPoolExecutor(4) as threads:
        loads = [
            threads.submit(load, tiny_model, weights, device="cpu", dtype=torch.bfloat16)
            for _ in range(12)
        ]
        models = [each.result().model for each in loads]

    assert torch.get_default_dtype() is torch.float32
    for model in models:
        assert torch.equal(logits_of(model, prompt), expected)
