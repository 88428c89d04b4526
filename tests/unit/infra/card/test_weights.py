"""What is quantized and what is not is counted in the files that are published."""

from pathlib import Path

import pytest

from infra.card.weights import part_of, weigh, weight_bytes
from infra.models.tensors import TensorIndex
from quantcore.grid import IntGrid
from tests.support.exports import RoundedToNearest, write_export


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_packed_and_kept_are_the_whole_model(tiny_model: Path, tmp_path: Path, bits: int) -> None:
    """Every parameter of the 16-bit model is in one of both, whatever the bits."""
    grid = IntGrid(bits=bits, group_size=32)
    folders = write_export(tiny_model, tmp_path / "out", grid)
    index = TensorIndex.open(tiny_model)
    packed = RoundedToNearest(index, grid).names

    found = weigh(folders["auto_round"], bits)

    assert found == weigh(folders["auto_gptq"], bits)
    assert found.modules == len(packed)
    assert found.packed_parameters == sum(_numbers(index, name) for name in packed)
    assert found.parameters == sum(_numbers(index, name) for name in index.names)


def test_the_kept_parts_are_named_the_largest_first(tiny_model: Path, tmp_path: Path) -> None:
    """Vision tower, head and embeddings are 16 bits, and a reader is told so."""
    folder = write_export(tiny_model, tmp_path / "out", IntGrid(group_size=32))["auto_round"]

    kept = weigh(folder, 4).kept

    assert {part.part for part in kept} == {
        "vision tower and merger",
        "output head",
        "token embeddings",
        "norms and biases of the language model",
    }
    assert [part.parameters for part in kept] == sorted(
        (part.parameters for part in kept), reverse=True
    )
    assert {part.dtypes for part in kept} == {("bfloat16",)}


def test_a_16_bit_model_is_kept_whole(tiny_model: Path) -> None:
    """Nothing of it is packed."""
    found = weigh(tiny_model, 4)

    assert (found.modules, found.packed_parameters) == (0, 0)
    assert "other weights of the language model" in {part.part for part in found.kept}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("visual.blocks.0.attn.qkv.weight", "vision tower and merger"),
        ("model.visual.merger.ln_q.bias", "vision tower and merger"),
        ("lm_head.weight", "output head"),
        ("model.language_model.embed_tokens.weight", "token embeddings"),
        ("model.layers.3.input_layernorm.weight", "norms and biases of the language model"),
        ("model.layers.3.self_attn.q_proj.bias", "norms and biases of the language model"),
        ("model.layers.3.mlp.up_proj.weight", "other weights of the language model"),
    ],
)
def test_parts_are_called_what_people_call_them(name: str, part: str) -> None:
    """By the names of the published checkpoints, old and new."""
    assert part_of(name) == part


def test_the_size_is_that_of_the_weights(tiny_sharded_model: Path) -> None:
    """All their files, and none beside them."""
    sizes = [path.stat().st_size for path in tiny_sharded_model.glob("*.safetensors")]

    assert len(sizes) == 3
    assert weight_bytes(tiny_sharded_model) == sum(sizes)


def _numbers(index: TensorIndex, name: str) -> int:
    total = 1
    for length in index.shape(name):
        total *= length
    return total
