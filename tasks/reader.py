"""Read an exported checkpoint by our own hand: packed words to codes, codes to weights.

The names are the source's, so that a checkpoint under test takes the place of the 16-bit model
everywhere: only where the tensors come from differs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infra.errors import UnloadableCheckpointError
from infra.models.source import read_config
from infra.models.tensors import TensorIndex
from quantcore.grid import IntGrid, QuantizedWeight, dequantize
from quantcore.packing import PackedWeight, unpack

PACKED = PackedWeight._fields
GROUP_INDEX = "g_idx"
METHODS = ("auto-round", "gptq")


@dataclass(frozen=True, slots=True)
class ExportedTensors:
    """The tensors of an export under their 16-bit names; a packed weight is read as float32."""

    index: TensorIndex
    grid: IntGrid

    @property
    def modules(self) -> tuple[str, ...]:
        """The names of the packed Linears."""
        return tuple(n.removesuffix(".qweight") for n in self.index.names if n.endswith(".qweight"))

    @property
    def names(self) -> tuple[str, ...]:
        """Every tensor's name, as the 16-bit checkpoint has it."""
        packed = set(self.modules)
        parts = {f".{field}" for field in (*PACKED, GROUP_INDEX)}
        plain = (
            name
            for name in self.index.names
            if name.rpartition(".")[0] not in packed or f".{name.rpartition('.')[2]}" not in parts
        )
        return (*plain, *(f"{module}.weight" for module in packed))

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape; of a packed weight, what it unpacks to."""
        module = name.removesuffix(".weight")
        if f"{module}.qweight" not in self.index:
            return self.index.shape(name)
        words, features_out = self.index.shape(f"{module}.qweight")
        return features_out, words * 32 // self.grid.bits

    def codes(self, module: str) -> QuantizedWeight:
        """Unpack one Linear.

        Raises:
            PackingError: Its tensors do not fit each other.
        """
        return unpack(
            PackedWeight(*(self.index.load(f"{module}.{field}") for field in PACKED)), self.grid
        )

    def load(self, name: str) -> Tensor:
        """Read one tensor."""
        module = name.removesuffix(".weight")
        if f"{module}.qweight" in self.index:
            return dequantize(self.codes(module), torch.float32)
        return self.index.load(name)

    def load_many(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Read several."""
        return {name: self.load(name) for name in names}


def open_export(folder: Path, index: TensorIndex | None = None) -> ExportedTensors:
    """Open an exported folder.

    Args:
        folder: Holds config.json and, without ``index``, safetensors files.
        index: Where its tensors are instead.

    Raises:
        UnloadableCheckpointError: It is packed in a way that is not read here.
        InfraError: Its weights are missing or damaged.
    """
    told = read_config(folder).get("quantization_config")
    why = _strange(told) if isinstance(told, dict) else "config.json does not say how it is packed"
    if not isinstance(told, dict) or why is not None:
        raise UnloadableCheckpointError(
            f"{folder} cannot be unpacked by our own reader: {why}. It reads what Roundhouse "
            "exports, and other checkpoints in those two formats (auto-round with GPTQ's packing, "
            "and gptq, without act-order). Score another kind with the loader 'client' and without "
            "a baseline, where what reads it is installed."
        )
    grid = IntGrid(bits=told["bits"], group_size=told["group_size"], symmetric=told["sym"])
    return ExportedTensors(TensorIndex.open(folder) if index is None else index, grid)


def _strange(told: dict[str, Any]) -> str | None:
    """Say what in a ``quantization_config`` would make its words mean something else."""
    wanted: dict[str, tuple[object, ...]] = {
        "quant_method": METHODS,
        "bits": (2, 3, 4, 8),
        "sym": (True, False),
        "packing_format": (None, "auto_round:auto_gptq"),
        "checkpoint_format": (None, "gptq"),
        "desc_act": (None, False),
    }
    wrong = [f"{key} is {told.get(key)!r}" for key in wanted if told.get(key) not in wanted[key]]
    if not isinstance(told.get("group_size"), int):
        wrong.append(f"group_size is {told.get('group_size')!r}")
    return ", ".join(wrong) or None
