"""The model that an export stands for, without any client's kernel: plain weights in float32.

It is read from the exported files with our own `unpack`, so a client that agrees with it agrees
with the files, and not merely with itself.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForImageTextToText, PreTrainedModel

from quantcore.grid import IntGrid, dequantize
from quantcore.packing import PackedWeight, unpack

PARTS = ("qweight", "qzeros", "scales")


def read_config(folder: Path) -> dict[str, Any]:
    """Return a folder's `config.json`."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Return every tensor that a folder's index names, or those of its only weight file."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return load_file(folder / "model.safetensors")
    places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    shards = {file: load_file(folder / file) for file in set(places.values())}
    return {name: shards[file][name] for name, file in places.items()}


def quantized_linears(tensors: dict[str, Tensor]) -> list[str]:
    """Return the source names, without `.weight`, of the Linears that are packed."""
    return [name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight")]


def dequantized_tensors(folder: Path) -> dict[str, Tensor]:
    """Return the tensors of an export under the source's names, packed Linears as float32."""
    config = read_config(folder)["quantization_config"]
    grid = IntGrid(
        bits=config["bits"], group_size=config["group_size"], symmetric=bool(config["sym"])
    )
    tensors = read_tensors(folder)
    packed = quantized_linears(tensors)
    parts = {f"{name}.{part}" for name in packed for part in (*PARTS, "g_idx")}
    plain = {name: tensor for name, tensor in tensors.items() if name not in parts}
    for name in packed:
        words = PackedWeight(*(tensors[f"{name}.{part}"] for part in PARTS))
        plain[f"{name}.weight"] = dequantize(unpack(words, grid), torch.float32)
    return plain


def load_plain(folder: Path) -> PreTrainedModel:
    """Load a folder without quantization in float32, ready to be asked."""
    model, info = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    if any(info.values()):
        raise AssertionError(f"{folder} is not a whole model: {info}")
    return model.eval()


def load_dequantized(folder: Path, scratch: Path) -> PreTrainedModel:
    """Load the model that an export stands for; `scratch` receives its plain weights."""
    config = read_config(folder)
    del config["quantization_config"]
    (scratch / "config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = dequantized_tensors(folder)
    save_file(weights, scratch / "model.safetensors", metadata={"format": "pt"})
    return load_plain(scratch)
