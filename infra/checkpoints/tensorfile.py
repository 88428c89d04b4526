"""The safetensors container, written piece by piece.

`safetensors.torch.save_file` wants all tensors of a file in memory at once.  The layout is simple
enough to write straight to the place of each tensor, so that a shard of any size costs the memory
of one tensor; the bytes are those that `save_file` would write, which a test holds.

    8 bytes   length of the header, little-endian
    header    JSON: name -> dtype, shape, data_offsets; padded with spaces to a multiple of 8
    data      the tensors, widest dtype first and then by name, without gaps
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from infra.errors import ExportPlanError
from infra.files import explaining, sync
from infra.models.shards import DTYPES, LENGTH_BYTES

# In the order of the data section: a tensor behind a wider one is always aligned.
_WIDEST_FIRST = (
    *("U64", "I64", "F64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16"),
    *("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"),
)
OF_TORCH: Mapping[str, str] = MappingProxyType({"format": "pt"})
"""What clients look for in the header of weights."""

_CODES = {DTYPES[code]: code for code in _WIDEST_FIRST}
_ORDER = {DTYPES[code]: place for place, code in enumerate(_WIDEST_FIRST)}


class TensorSpec(NamedTuple):
    """What is known of a tensor before it is there."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] = OF_TORCH
) -> None:
    """Write a new safetensors file of tensors that are all there.

    `save_file` tells of a full disk by an error of its own that names no file; this does not.

    Raises:
        StorageError: The file cannot be written.
    """
    specs = {name: TensorSpec(t.dtype, tuple(t.shape)) for name, t in tensors.items()}
    write_tensors(path, specs, tensors.items(), metadata)


def write_tensors(
    path: Path,
    specs: Mapping[str, TensorSpec],
    tensors: Iterable[tuple[str, Tensor]],
    metadata: Mapping[str, str] = OF_TORCH,
) -> None:
    """Write a new safetensors file, taking ``tensors`` one at a time and in any order.

    Args:
        path: A file that does not exist.
        specs: Every tensor that the file will hold.
        tensors: Just these, each matching its spec; one is let go before the next is asked for.
        metadata: What else the header says.

    Raises:
        ExportPlanError: A tensor is missing, or is not what its spec says.
        StorageError: The file cannot be written.
    """
    starts, header = _layout(specs, metadata)
    missing = set(specs)
    with explaining(path, "writing"), path.open("xb") as file:
        file.write(len(header).to_bytes(LENGTH_BYTES, "little") + header)
        for name, tensor in tensors:
            _require(name, tensor, specs)
            missing.discard(name)
            file.seek(LENGTH_BYTES + len(header) + starts[name])
            file.write(_bytes_of(tensor))
            del tensor
        file.flush()
        sync(path)
    if missing:
        raise ExportPlanError(f"{path.name} was to hold {sorted(missing)}, but nothing gave them.")


def _layout(
    specs: Mapping[str, TensorSpec], metadata: Mapping[str, str]
) -> tuple[dict[str, int], bytes]:
    """Return where the data of each tensor starts, and the padded header that says so."""
    order = sorted(specs, key=lambda name: (_ORDER[specs[name].dtype], name))
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    starts, end = {}, 0
    for name in order:
        dtype, shape = specs[name]
        starts[name], end = end, end + specs[name].nbytes
        header[name] = {
            "dtype": _CODES[dtype],
            "shape": list(shape),
            "data_offsets": [starts[name], end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return starts, text + b" " * (-len(text) % 8)


def _require(name: str, tensor: Tensor, specs: Mapping[str, TensorSpec]) -> None:
    found = TensorSpec(tensor.dtype, tuple(tensor.shape))
    if name not in specs or specs[name] != found:
        raise ExportPlanError(
            f"{name} came as {found.dtype} {list(found.shape)}, but the plan says "
            f"{specs.get(name, 'that there is no such tensor')}. "
            "What announces shapes and what gives tensors must agree."
        )


def _bytes_of(tensor: Tensor) -> memoryview:
    """Return the bytes of a tensor, without a copy where it lies in one piece on the CPU."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
