"""An export read by our own hand stands in for the 16-bit model: same names, same shapes."""

from pathlib import Path

import pytest
import torch

from infra.models.tensors import TensorIndex
from quantcore.grid import IntGrid, dequantize
from quantcore.signround import round_to_nearest
from tasks.reader import ExportedTensors, open_export
from tests.support.exports import write_export

GRID = IntGrid(bits=4, group_size=64)
Q_PROJ = "model.layers.1.self_attn.q_proj"


@pytest.fixture(scope="module", params=["auto_round", "auto_gptq"])
def export(
    request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> ExportedTensors:
    """Return an export of the tiny model in each format."""
    folders = write_export(tiny_model, tmp_path_factory.mktemp("export") / "out", GRID)
    return open_export(folders[request.param])


def test_names_and_shapes_are_those_of_the_source(
    tiny_model: Path, export: ExportedTensors
) -> None:
    """Packed parts and g_idx are out of sight, and each Linear has its weight again."""
    source = TensorIndex.open(tiny_model)

    assert sorted(export.names) == sorted(source.names)
    assert {n: export.shape(n) for n in source.names} == {n: source.shape(n) for n in source.names}


def test_a_packed_weight_is_what_a_kernel_multiplies_by(
    tiny_model: Path, export: ExportedTensors
) -> None:
    """Unpacked and scaled, it is the rounded weight in float32, to the bit."""
    weight_OI = TensorIndex.open(tiny_model).load(f"{Q_PROJ}.weight")
    rounded = round_to_nearest(Q_PROJ, weight_OI, GRID)

    read = export.load(f"{Q_PROJ}.weight")

    assert torch.equal(read, dequantize(rounded, torch.float32))
    assert all(map(torch.equal, export.codes(Q_PROJ), rounded))


def test_what_is_not_packed_is_read_as_it_is(tiny_model: Path, export: ExportedTensors) -> None:
    """Biases of packed Linears, norms, embeddings and the vision tower are the source's."""
    names = [f"{Q_PROJ}.bias", "model.norm.weight", "visual.blocks.0.attn.qkv.weight"]

    read, source = export.load_many(names), TensorIndex.open(tiny_model).load_many(names)

    assert all(torch.equal(read[name], source[name]) for name in names)
