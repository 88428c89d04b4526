"""All tensors of a model folder by name, without reading them.

Weights come as one `model.safetensors` or as shards named by `model.safetensors.index.json`.
Every header is checked when the index is opened, so that a missing or cut shard ends a run in its
first second.  A tensor is read when it is asked for, into fresh memory that is its caller's alone.
"""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from infra.errors import BadIndexError, CorruptShardError, NoWeightsError, UnknownTensorError
from infra.models.shards import (
    FolderReader,
    RangeReader,
    TensorPlace,
    fill,
    read_bytes,
    read_header,
)

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


class Tensors(Protocol):
    """Tensors by source name: those of a folder, or those of an export read through its codes."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every tensor's name."""
        ...

    def load(self, name: str) -> Tensor:
        """Read one tensor."""
        ...

    def load_many(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Read several."""
        ...


class TensorIndex:
    """Which tensors a model has, and in which of its files the bytes are.

    Made by `open`.  Immutable, and safe to share between threads: no file stays open.
    """

    def __init__(
        self,
        reader: RangeReader,
        places: Mapping[str, TensorPlace],
        digests: Mapping[str, str],
    ) -> None:
        """Take what `open` has found."""
        self._reader = reader
        self._places = places
        self._digests = digests

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        reader: RangeReader | None = None,
        digests: Mapping[str, str] = MappingProxyType({}),
    ) -> Self:
        """Read and check the headers of all weight files of a model.

        Args:
            folder: The model folder.
            reader: Where its files are, if not in that folder of this machine.
            digests: SHA-256 of the bytes of tensors, which are held against it when they are read.

        Raises:
            NoWeightsError: There are no safetensors weights.
            BadIndexError: The index cannot be read, or names a tensor that its shard lacks.
            MissingShardError: A file that the index names is not there.
            TruncatedShardError: A file is shorter than its header says.
            CorruptShardError: A header cannot be read or contradicts itself.
            StorageError: A file cannot be read.
        """
        files = reader or FolderReader(folder)
        return cls(files, _find(files, folder), digests)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all tensors, file by file and in the order of their bytes."""
        return tuple(self._places)

    def __contains__(self, name: str) -> bool:
        """Say whether there is a tensor of this name."""
        return name in self._places

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape; raises `UnknownTensorError`."""
        return self._place(name).shape

    def dtype(self, name: str) -> torch.dtype:
        """Return a tensor's dtype; raises `UnknownTensorError`."""
        return self._place(name).dtype

    def nbytes(self, name: str) -> int:
        """Return a tensor's size in bytes; raises `UnknownTensorError`."""
        return self._place(name).nbytes

    def shard_of(self, name: str) -> str:
        """Return the name of the file that holds a tensor; raises `UnknownTensorError`."""
        return self._place(name).file

    def shards(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the tensors in each weight file, in the order of their bytes."""
        files: dict[str, list[str]] = {}
        for name, place in self._places.items():
            files.setdefault(place.file, []).append(name)
        return {file: tuple(names) for file, names in files.items()}

    def load(self, name: str) -> Tensor:
        """Read one tensor into fresh memory on the CPU; nothing else of its file is read.

        Raises:
            UnknownTensorError: There is no such tensor.
            TruncatedShardError: The file has become shorter since the index was opened.
            CorruptShardError: Its bytes have another digest than they should have.
            StorageError: The file cannot be read.
        """
        place = self._place(name)
        tensor = torch.empty(place.shape, dtype=place.dtype)
        if tensor.numel():
            target = tensor.reshape(-1).view(torch.uint8).numpy().data
            fill(self._reader, place.file, place.start, target)
            self._require_digest(name, target)
        return tensor

    def load_many(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Read several tensors, in the order given; raises as `load` does."""
        return {name: self.load(name) for name in names}

    def _require_digest(self, name: str, data: memoryview) -> None:
        wanted = self._digests.get(name)
        if wanted is not None and (found := hashlib.sha256(data).hexdigest()) != wanted:
            raise CorruptShardError(
                f"{name} in {self.shard_of(name)} of {self._reader.place()} was read with the "
                f"SHA-256 {found}, but had {wanted} when the model was found. Try again; if it "
                "stays so, store that file anew."
            )

    def _place(self, name: str) -> TensorPlace:
        place = self._places.get(name)
        if place is None:
            near = difflib.get_close_matches(name, self._places, n=3)
            hint = f"the nearest names are {', '.join(near)}" if near else "no name is like it"
            raise UnknownTensorError(
                f"The weights in {self._reader.place()} hold no tensor {name!r}; {hint}. Either "
                "config.json belongs to another model, or a part of the weights was left out."
            )
        return place


def _find(reader: RangeReader, folder: Path) -> dict[str, TensorPlace]:
    if reader.size(SINGLE_FILE) is not None:  # where both are, transformers takes this one too
        return read_header(reader, SINGLE_FILE)
    if reader.size(INDEX_FILE) is not None:
        return _find_sharded(reader)
    pickles = sorted(path.name for kind in _PICKLES for path in folder.glob(kind))
    also = f" It holds {', '.join(pickles)}, but pickled weights are never read." if pickles else ""
    raise NoWeightsError(
        f"{reader.place()} holds no weights: neither {SINGLE_FILE} nor {INDEX_FILE}.{also} "
        "Name a folder or revision with safetensors weights, or save the model as safetensors."
    )


def _find_sharded(reader: RangeReader) -> dict[str, TensorPlace]:
    """Read all shards; where the index and a shard disagree, the model is refused."""
    weight_map = _weight_map(reader)
    places: dict[str, TensorPlace] = {}
    for file in sorted(set(weight_map.values())):
        held = read_header(reader, file)
        named = {name for name, shard in weight_map.items() if shard == file}
        lacking = sorted(named - held.keys())
        if lacking:
            raise BadIndexError(
                f"{INDEX_FILE} in {reader.place()} says that {file} holds {lacking[0]!r}"
                f"{f' and {len(lacking) - 1} more' if lacking[1:] else ''}, but it does not. Index "
                "and shards come from different revisions; fetch all of them from one."
            )
        places |= {name: place for name, place in held.items() if name in named}
    return places


def _weight_map(reader: RangeReader) -> Mapping[str, str]:
    data = read_bytes(reader, INDEX_FILE, 0, reader.size(INDEX_FILE) or 0)
    try:
        content: Any = json.loads(data)
    except ValueError as error:
        raise _bad_index(reader, f"is no JSON ({error})") from error
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise _bad_index(reader, 'has no "weight_map" from tensor names to files')
    for name, file in weight_map.items():
        if (
            not isinstance(file, str)
            or not file.endswith(".safetensors")
            or Path(file).name != file
        ):
            raise _bad_index(reader, f"puts {name!r} into {file!r}, no safetensors file beside it")
    return weight_map


def _bad_index(reader: RangeReader, what: str) -> BadIndexError:
    return BadIndexError(
        f"{INDEX_FILE} in {reader.place()} {what}. Fetch it again, of the shards' revision."
    )
