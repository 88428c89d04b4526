"""Qwen2-VL is read in parts: each part reads only its own tensors and computes what the whole does.

The sums of the parts against the whole model's logits are in tests/unit/tasks/test_streaming.py.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from infra.calibration.conversations import ChatEncoder, open_processor
from infra.calibration.sample import Sample
from infra.errors import ModelConfigError, UnknownTensorError
from infra.models.qwen2_vl import LINEARS, Place, Qwen2VL
from infra.models.tensors import TensorIndex
from tests.support.models import (
    Watched,
    Weights,
    as_half_resaved,
    as_resaved,
    image_sample,
    replaced,
    rewritten,
    text_sample,
    without,
)

CPU = Place(torch.device("cpu"), torch.float32)


def family_of(folder: Path) -> Qwen2VL:
    """Return the reader of a folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return Qwen2VL.of(config, TensorIndex.open(folder).names)


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> ChatEncoder:
    """Return the tiny model's processor."""
    return open_processor(tiny_model)


@pytest.fixture(scope="module")
def family(tiny_model: Path) -> Qwen2VL:
    """Return the tiny model's reader."""
    return family_of(tiny_model)


def test_a_picture_changes_where_tokens_stand(
    tiny_model: Path, family: Qwen2VL, encoder: ChatEncoder
) -> None:
    """Tokens of a picture get their M-RoPE by row and column, and text behind it moves along."""
    image = image_sample(encoder)
    text = Sample(image.input_ids, None, None, None)
    front = family.front(TensorIndex.open(tiny_model), CPU, images=True)

    as_image, as_text = front(image).side["cos"], front(text).side["cos"]

    first = int((image.mm_token_type_ids == 1).nonzero()[0])
    assert as_image.shape == as_text.shape
    assert torch.equal(as_image[: first + 1], as_text[: first + 1])
    differing = (as_image != as_text).any(-1)
    assert differing[first + 1 :].all()


def test_pictures_of_other_shapes_give_other_positions(
    tiny_model: Path, family: Qwen2VL, encoder: ChatEncoder
) -> None:
    """The grid of each picture decides, not its number of tokens: 2 x 4 differs from 4 x 2."""
    front = family.front(TensorIndex.open(tiny_model), CPU, images=True)
    wide, tall = (front(image_sample(encoder, size=size)) for size in ((112, 56), (56, 112)))

    assert wide.hidden_TH.shape == tall.hidden_TH.shape
    assert not torch.equal(wide.side["cos"], tall.side["cos"])


def test_text_needs_no_vision_tower(tiny_model: Path, family: Qwen2VL) -> None:
    """For text alone only the embeddings are read, in the dtype of the source."""
    tensors = Watched(tiny_model)

    front = family.front(tensors, CPU, images=False)

    assert tensors.read == ["model.embed_tokens.weight"]
    assert front.embeddings.dtype == torch.bfloat16
    assert front(text_sample(5)).hidden_TH.dtype == torch.float32


def test_the_hook_comes_off(tiny_model: Path, family: Qwen2VL, encoder: ChatEncoder) -> None:
    """After a sample, and after one that fails, no hook is left on the rotary embeddings."""
    front = family.front(TensorIndex.open(tiny_model), CPU, images=True)
    rotary = front.model.language_model.rotary_emb
    image = image_sample(encoder)

    front(image)
    left_after_success = len(rotary._forward_hooks)
    with pytest.raises(ValueError, match=r"[Ii]mage"):
        front(image._replace(input_ids=torch.zeros_like(image.input_ids)))

    assert (left_after_success, len(rotary._forward_hooks)) == (0, 0)


def test_a_picture_without_token_types_is_refused(
    tiny_model: Path, family: Qwen2VL, encoder: ChatEncoder
) -> None:
    """Without them transformers could not place the picture, so it is not guessed."""
    front = family.front(TensorIndex.open(tiny_model), CPU, images=True)

    with pytest.raises(ValueError, match="mm_token_type_ids"):
        front(image_sample(encoder)._replace(mm_token_type_ids=None))


def test_a_block_reads_its_own_tensors_alone(tiny_model: Path, family: Qwen2VL) -> None:
    """One block of memory: nothing of another block is read, and no weight is there twice."""
    tensors = Watched(tiny_model)

    block = family.block(tensors, 1, CPU)

    assert {name.split(".")[2] for name in tensors.read} == {"1"}
    assert tuple(block.linears) == tuple(f"model.layers.1.{name}.weight" for name in LINEARS)
    assert {weight.dtype for weight in block.linears.values()} == {torch.bfloat16}
    of_layer = {f"{block.prefix}{name}": p for name, p in block.layer.named_parameters()}
    for name, weight in block.linears.items():
        assert of_layer.pop(name).data_ptr() == weight.data_ptr()
    assert {p.dtype for p in of_layer.values()} == {torch.float32}
    assert not any(p.is_meta or p.requires_grad for p in block.layer.parameters())


@torch.no_grad()
def test_exchanging_weights_changes_nothing_for_good(tiny_model: Path, family: Qwen2VL) -> None:
    """A run with other weights differs, and the next one without is what it was before."""
    tensors = TensorIndex.open(tiny_model)
    block = family.block(tensors, 0, CPU)
    entered = family.front(tensors, CPU, images=False)(text_sample(6))
    hidden = entered.hidden_TH[None]
    side = {name: tensor[None] for name, tensor in entered.side.items()}
    zeros = {name: torch.zeros(w.shape) for name, w in block.linears.items()}

    before, other, after = (block(w, hidden, side) for w in ({}, zeros, {}))

    assert torch.equal(before, after)
    assert not torch.equal(before, other)
    assert other.isfinite().all()


@torch.no_grad()
def test_padding_on_the_right_changes_no_token(
    tiny_model: Path, family: Qwen2VL, encoder: ChatEncoder
) -> None:
    """A sample in a padded batch, with its own rotary embeddings, is what it is alone."""
    tensors = TensorIndex.open(tiny_model)
    front, block = family.front(tensors, CPU, images=True), family.block(tensors, 0, CPU)
    short, long = front(text_sample(7)), front(image_sample(encoder))
    pad = torch.nn.utils.rnn.pad_sequence
    together = block(
        {},
        pad([short.hidden_TH, long.hidden_TH], batch_first=True),
        {name: pad([short.side[name], long.side[name]], batch_first=True) for name in short.side},
    )

    for row, sample in enumerate((short, long)):
        side = {name: tensor[None] for name, tensor in sample.side.items()}
        alone = block({}, sample.hidden_TH[None], side)[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("rename", "prefixes"),
    [
        (dict, ("model.", "visual.")),
        (as_resaved, ("model.language_model.", "model.visual.")),
        (as_half_resaved, ("model.", "model.visual.")),
    ],
)
def test_every_spelling_of_the_names_is_read(
    tiny_model: Path,
    family: Qwen2VL,
    encoder: ChatEncoder,
    tmp_path: Path,
    rename: Callable[[Weights], Weights],
    prefixes: tuple[str, str],
) -> None:
    """Published names, re-saved names, and the mixture that two versions wrote: the same model."""
    folder = rewritten(tiny_model, tmp_path / "model", weights=rename)
    other, image = family_of(folder), image_sample(encoder)

    assert (other.text_prefix, other.vision_prefix) == prefixes
    entered, expected = (
        reader.front(TensorIndex.open(path), CPU, images=True)(image).hidden_TH
        for reader, path in ((other, folder), (family, tiny_model))
    )
    assert torch.equal(entered, expected)
    assert all(name in TensorIndex.open(folder) for name in other.linears(1))


@torch.no_grad()
def test_a_tied_head_is_the_embeddings(tiny_model: Path, tmp_path: Path) -> None:
    """Where the config ties them and there is no head of its own, the embeddings are the head."""
    folder = rewritten(
        tiny_model,
        tmp_path / "tied",
        weights=without("lm_head.weight"),
        config={"tie_word_embeddings": True},
    )
    tensors = TensorIndex.open(folder)

    head = family_of(folder).head(tensors, CPU)

    assert torch.equal(head.weight, tensors.load("model.embed_tokens.weight"))
    assert head(torch.ones(3, 256)).shape == (3, 512)


def test_a_missing_head_is_not_made_up(tiny_model: Path, tmp_path: Path) -> None:
    """Without a head, and without the config saying that it is tied, the weights are at fault."""
    folder = rewritten(tiny_model, tmp_path / "headless", weights=without("lm_head.weight"))

    with pytest.raises(UnknownTensorError, match=r"lm_head\.weight"):
        family_of(folder).head(TensorIndex.open(folder), CPU)


def test_weights_of_another_size_are_refused_by_name(tiny_model: Path, tmp_path: Path) -> None:
    """A config of another model is found out at the first tensor that does not fit it."""
    norm = "model.layers.0.input_layernorm.weight"
    folder = rewritten(tiny_model, tmp_path / "m", weights=replaced(norm, lambda t: t[:128]))

    with pytest.raises(ModelConfigError, match=norm) as refused:
        family_of(folder).block(TensorIndex.open(folder), 0, CPU)

    assert "[128], and config.json makes it [256]" in str(refused.value)


def test_a_config_value_of_the_wrong_kind_is_named(tiny_model: Path) -> None:
    """What is not a number where one must be is said with its key, in one paragraph."""
    config = json.loads((tiny_model / "config.json").read_text(encoding="utf-8"))

    with pytest.raises(ModelConfigError, match="hidden_size") as refused:
        Qwen2VL.of({**config, "hidden_size": "wide"}, [])

    assert "\n" not in str(refused.value)
