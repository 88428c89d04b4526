"""One safetensors file, known by its header alone.

The format is 8 bytes of length (little-endian), that many bytes of JSON, and the tensors' bytes
without gaps.  The header is read here and not by safetensors' own reader, for three reasons: a
file that is cut short or damaged is found before any work is done, and named together with its
remedy; no file stays mapped, so that a model of 15 GB costs the memory of one tensor; and bytes
come through `RangeReader`, which can as well be ranges of remote objects.
"""

import math
from itertools import accumulate
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from infra.errors import CorruptShardError, MissingShardError, TruncatedShardError
from infra.files import explaining

DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
LENGTH_BYTES = 8
LARGEST_HEADER = 100_000_000  # safetensors itself refuses more
_LFS_POINTER = b"version "  # the first 8 bytes of what git leaves in place of a large file


class RangeReader(Protocol):
    """Where the bytes of weight files come from."""

    def size(self, file: str) -> int | None:
        """Return a file's size in bytes, None where there is no such file."""

    def read_into(self, file: str, start: int, target: memoryview) -> int:
        """Fill ``target`` with the bytes from ``start``; return how many there were."""

    def place(self) -> str:
        """Say where the files are, for messages."""


class FolderReader(NamedTuple):
    """Files of a local folder, opened for each read and closed after it."""

    folder: Path

    def size(self, file: str) -> int | None:
        """Return a file's size in bytes, None where there is no such file."""
        path = self.folder / file
        with explaining(path, "reading"):
            return path.stat().st_size if path.is_file() else None

    def read_into(self, file: str, start: int, target: memoryview) -> int:
        """Fill ``target`` with the bytes from ``start``; return how many there were."""
        path, done = self.folder / file, 0
        with explaining(path, "reading"), path.open("rb", buffering=0) as handle:
            handle.seek(start)
            while done < len(target):  # one call gives 2 GiB at most
                count = handle.readinto(target[done:])
                if not count:
                    break
                done += count
        return done

    def place(self) -> str:
        """Say where the files are, for messages."""
        return str(self.folder)


class TensorPlace(NamedTuple):
    """What a tensor is, and where its bytes are."""

    file: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int  # from the beginning of the file

    @property
    def nbytes(self) -> int:
        """Size of the tensor in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


_Size = Annotated[int, Field(ge=0)]


class _Entry(BaseModel):
    """One line of a header."""

    model_config = ConfigDict(strict=True, frozen=True)

    dtype: str
    shape: tuple[_Size, ...]
    data_offsets: tuple[_Size, _Size]


_HEADER = TypeAdapter(dict[str, _Entry | dict[str, str]])


def read_header(reader: RangeReader, file: str) -> dict[str, TensorPlace]:
    """Return the tensors of a file, having checked that all their bytes can be there.

    Args:
        reader: Where the file is.
        file: Its name.

    Returns:
        Tensors by name, in the order of their bytes.

    Raises:
        MissingShardError: There is no such file.
        TruncatedShardError: The file ends before its header or its last tensor does.
        CorruptShardError: The header is no safetensors header, or contradicts itself.
        StorageError: The file cannot be read.
    """
    size = reader.size(file)
    if size is None:
        raise MissingShardError(
            f"There is no {file} in {reader.place()}, though the folder's index names it as a "
            "weight file. Fetch that file of the same revision, or the whole model again."
        )
    length = _header_length(reader, file, size)
    header = read_bytes(reader, file, LENGTH_BYTES, length)
    places = _places(reader, file, header)
    _require_gapless(reader, file, LENGTH_BYTES + length, places)
    end = LENGTH_BYTES + length + sum(place.nbytes for place in places.values())
    if size < end:
        raise _truncated(reader, file, have=size, want=end)
    if size > end:
        raise _corrupt(reader, file, f"{size - end} bytes follow its last tensor")
    return places


def read_bytes(reader: RangeReader, file: str, start: int, length: int) -> bytearray:
    """Return ``length`` bytes from ``start``.

    Raises:
        TruncatedShardError: The file ends before.
        StorageError: The file cannot be read.
    """
    data = bytearray(length)
    fill(reader, file, start, memoryview(data))
    return data


def fill(reader: RangeReader, file: str, start: int, target: memoryview) -> None:
    """Fill ``target`` with the bytes of a file from ``start``.

    Raises:
        TruncatedShardError: The file ends before ``target`` is full.
        StorageError: The file cannot be read.
    """
    count = reader.read_into(file, start, target)
    if count < len(target):
        raise _truncated(reader, file, have=start + count, want=start + len(target))


def _header_length(reader: RangeReader, file: str, size: int) -> int:
    if size < LENGTH_BYTES:
        raise _truncated(reader, file, have=size, want=LENGTH_BYTES)
    first = bytes(read_bytes(reader, file, 0, LENGTH_BYTES))
    if first == _LFS_POINTER:
        raise _corrupt(
            reader, file, "it is a Git LFS pointer, not the weights (`git lfs pull` fetches them)"
        )
    length = int.from_bytes(first, "little")
    if length > LARGEST_HEADER:
        raise _corrupt(reader, file, f"its header would have {length} bytes")
    if length > size - LENGTH_BYTES:
        raise _truncated(reader, file, have=size, want=LENGTH_BYTES + length)
    return length


def _places(reader: RangeReader, file: str, header: bytearray) -> dict[str, TensorPlace]:
    try:
        lines = _HEADER.validate_json(bytes(header))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "its JSON"
        raise _corrupt(reader, file, f"{where}: {first['msg']}") from error
    lines.pop("__metadata__", None)
    data = LENGTH_BYTES + len(header)
    places = {}
    for name, line in lines.items():
        if not isinstance(line, _Entry):
            raise _corrupt(reader, file, f"{name} has no dtype, shape and data_offsets")
        if line.dtype not in DTYPES:
            known = ", ".join(DTYPES)
            raise _corrupt(reader, file, f"{name} has dtype {line.dtype}; known are {known}")
        start, end = line.data_offsets
        place = TensorPlace(file, DTYPES[line.dtype], line.shape, data + start)
        if end - start != place.nbytes:
            claim = f"{name} is {line.dtype} {list(line.shape)}, {place.nbytes} bytes"
            raise _corrupt(reader, file, f"{claim}, but its data_offsets span {end - start}")
        places[name] = place
    order = sorted(places.items(), key=lambda item: (item[1].start, item[1].nbytes))
    return dict(order)


def _require_gapless(
    reader: RangeReader, file: str, data: int, places: dict[str, TensorPlace]
) -> None:
    starts = accumulate((place.nbytes for place in places.values()), initial=data)
    for (name, place), start in zip(places.items(), starts, strict=False):
        if place.start != start:
            what = "overlaps the tensor" if place.start < start else "leaves a gap after the one"
            raise _corrupt(reader, file, f"{name} {what} before it")


def _truncated(reader: RangeReader, file: str, *, have: int, want: int) -> TruncatedShardError:
    return TruncatedShardError(
        f"{file} in {reader.place()} is cut short: it has {have} bytes and needs at least {want}, "
        f"{want - have} more. Its download or copy did not finish; fetch that file again."
    )


def _corrupt(reader: RangeReader, file: str, what: str) -> CorruptShardError:
    return CorruptShardError(
        f"{file} in {reader.place()} is no sound safetensors file: {what}. "
        "Fetch that file again, and compare its SHA-256 with the publisher's."
    )
