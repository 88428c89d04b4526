"""An export read by our own hand stands in for the 16-bit model: same names, same shapes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from infra.errors import UnloadableCheckpointError
from infra.models.tensors import TensorIndex
from quantcore.grid import IntGrid, dequantize
from quantcore.signround import round_to_nearest
from tasks.reader import ExportedTensors, open_export
from tests.support.exports import write_export
from tests.support.models import rewritten

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


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("auto_gptq", {"desc_act": True}),
        ("auto_gptq", {"checkpoint_format": "gptq_v2"}),
        ("auto_gptq", {"bits": 5}),
        ("auto_gptq", {"group_size": "128"}),
        ("auto_round", {"sym": None}),
        ("auto_round", {"packing_format": "auto_round:auto_awq"}),
        ("auto_round", {"quant_method": "awq"}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_another_packing_is_refused(
    tiny_model: Path, tmp_path: Path, kind: Any, changes: dict[str, Any]
) -> None:
    """Its words would be read, and mean something else: a plausible model with a wrong score."""
    folder = write_export(tiny_model, tmp_path / "out", GRID)[kind]
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] |= changes
    (folder / "config.json").write_text(json.dumps(config))
    (key,) = changes

    with pytest.raises(UnloadableCheckpointError, match=f"{key} is {changes[key]!r}") as told:
        open_export(folder)

    assert str(folder) in str(told.value)
    assert "the loader 'client'" in str(told.value)


@pytest.mark.parametrize("config", [{}, {"quantization_config": None}, {"quantization_config": {}}])
def test_a_model_that_is_not_packed_is_no_export(
    tiny_model: Path, tmp_path: Path, config: dict[str, Any]
) -> None:
    """Whoever asks for its codes is told, and not by a missing key."""
    folder = rewritten(tiny_model, tmp_path / "model", config=config)

    with pytest.raises(UnloadableCheckpointError, match=f"^{folder} cannot be unpacked"):
        open_export(folder)
