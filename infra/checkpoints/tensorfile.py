"""The safetensors container, written piece by piece and read by header alone.

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
from typing import Any, NamedTuple

import torch
from torch import Tensor

from infra.errors import CheckpointError, ExportPlanError
from infra.files import explaining, sync

# In the order of the data section: a tensor behind a wider one is always aligned.
DTYPES: Mapping[str, torch.dtype] = {
    "U64": torch.uint64,
    "I64": torch.int64,
    "F64": torch.float64,
    "F32": torch.float32,
    "U32": torch.uint32,
    "I32": torch.int32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "U16": torch.uint16,
    "I16": torch.int16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_CODES = {dtype: code for code, dtype in DTYPES.items()}
_ORDER = {dtype: place for place, dtype in enumerate(DTYPES.values())}
_LENGTH_BYTES = 8
_LARGEST_HEADER = 100_000_000  # safetensors itself refuses more


class TensorSpec(NamedTuple):
    """What is known of a tensor before it is there."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class Entry(NamedTuple):
    """One tensor of a file: what it is, and where its bytes are."""

    path: Path
    spec: TensorSpec
    start: int  # from the beginning of the file


class TensorFile(NamedTuple):
    """The header of one file."""

    tensors: Mapping[str, Entry]
    metadata: Mapping[str, str]


def write_tensors(
    path: Path, specs: Mapping[str, TensorSpec], tensors: Iterable[tuple[str, Tensor]]
) -> None:
    """Write a new safetensors file, taking ``tensors`` one at a time and in any order.

    Args:
        path: A file that does not exist.
        specs: Every tensor that the file will hold.
        tensors: Just these, each matching its spec; one is let go before the next is asked for.

    Raises:
        ExportPlanError: A tensor is missing, or is not what its spec says.
        StorageError: The file cannot be written.
    """
    starts, header = _layout(specs)
    missing = set(specs)
    with explaining(path, "writing"), path.open("xb") as file:
        file.write(len(header).to_bytes(_LENGTH_BYTES, "little") + header)
        for name, tensor in tensors:
            _require(name, tensor, specs)
            missing.discard(name)
            file.seek(_LENGTH_BYTES + len(header) + starts[name])
            file.write(_bytes_of(tensor))
            del tensor
        file.flush()
        sync(path)
    if missing:
        raise ExportPlanError(f"{path.name} was to hold {sorted(missing)}, but nothing gave them.")


def read_header(path: Path) -> TensorFile:
    """Read what a safetensors file holds, without its data.

    Raises:
        CheckpointError: The file is cut short, or its header is not one.
        StorageError: The file cannot be read.
    """
    with explaining(path, "reading"), path.open("rb") as file:
        size = path.stat().st_size
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if size < _LENGTH_BYTES or length > min(size - _LENGTH_BYTES, _LARGEST_HEADER):
            raise CheckpointError(f"{path.name} is cut short or no safetensors file ({size} bytes)")
        data = file.read(length)
    try:
        header = json.loads(data)
        metadata = header.pop("__metadata__", {})
        entries = {
            name: _entry(path, _LENGTH_BYTES + length, value) for name, value in header.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path.name} has a header that cannot be read: {error!r}") from error
    _require_gapless(path, _LENGTH_BYTES + length, size, entries)
    return TensorFile(entries, metadata)


def read_tensor(entry: Entry) -> Tensor:
    """Read the bytes of one tensor.

    Raises:
        StorageError: The file cannot be read.
    """
    with explaining(entry.path, "reading"), entry.path.open("rb") as file:
        file.seek(entry.start)
        data = bytearray(file.read(entry.spec.nbytes))
    if not data:
        return torch.empty(entry.spec.shape, dtype=entry.spec.dtype)
    return torch.frombuffer(data, dtype=entry.spec.dtype).reshape(entry.spec.shape)


def _layout(specs: Mapping[str, TensorSpec]) -> tuple[dict[str, int], bytes]:
    """Return where the data of each tensor starts, and the padded header that says so."""
    order = sorted(specs, key=lambda name: (_ORDER[specs[name].dtype], name))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
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


def _entry(path: Path, data_start: int, value: dict[str, Any]) -> Entry:
    spec = TensorSpec(DTYPES[value["dtype"]], tuple(int(size) for size in value["shape"]))
    start, end = value["data_offsets"]
    if end - start != spec.nbytes:
        raise ValueError(f"{end - start} bytes for a tensor of {spec.nbytes}")
    return Entry(path, spec, data_start + start)


def _require_gapless(path: Path, start: int, size: int, entries: Mapping[str, Entry]) -> None:
    for entry in sorted(entries.values(), key=lambda entry: (entry.start, entry.spec.nbytes)):
        if entry.start != start:
            raise CheckpointError(f"{path.name} has tensors that overlap or leave a gap")
        start += entry.spec.nbytes
    if start != size:
        raise CheckpointError(
            f"{path.name} has {size} bytes, but its header says {start}: it is cut short or damaged"
        )
