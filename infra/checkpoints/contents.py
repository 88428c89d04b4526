"""What a checkpoint folder holds, from the headers of its files, and whether its papers agree.

Nothing here raises over what is wrong inside a checkpoint: each fault becomes a sentence, so that
one look tells all of them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from infra.checkpoints.papers import INDEX
from infra.checkpoints.sidefiles import BROUGHT_ALONG, SIGNATURE, SUMS
from infra.errors import WeightsError
from infra.files import sha256_of
from infra.models.shards import FolderReader, TensorPlace, fill, read_header

_SUMS_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


class Contents(NamedTuple):
    """Every tensor that can be read, and what is wrong with the files."""

    folder: Path
    tensors: Mapping[str, TensorPlace]
    problems: tuple[str, ...]

    def read(self, name: str) -> Tensor:
        """Read one tensor.

        Raises:
            WeightsError: Its file has become shorter since its header was read.
            StorageError: Its file cannot be read.
        """
        place = self.tensors[name]
        tensor = torch.empty(place.shape, dtype=place.dtype)
        if tensor.numel():
            target = tensor.reshape(-1).view(torch.uint8).numpy().data
            fill(FolderReader(self.folder), place.file, place.start, target)
        return tensor


def read_contents(folder: Path) -> Contents:
    """Read the headers of all safetensors files and compare them with the index."""
    tensors: dict[str, TensorPlace] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*.safetensors")):
        try:
            found = read_header(FolderReader(folder), path.name)
        except WeightsError as error:
            problems.append(str(error))
            continue
        problems += [
            f"{name} is both in {tensors[name].file} and in {path.name}"
            for name in found.keys() & tensors.keys()
        ]
        tensors |= found
    if not tensors and not problems:
        problems.append("there is no safetensors file")
    problems += _index_problems(folder, tensors)
    return Contents(folder, tensors, tuple(problems))


def digest_problems(folder: Path) -> Iterator[str]:
    """Tell which files are not what ``SHA256SUMS`` says; every byte is read."""
    listed: set[str] = set()
    for line in (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines():
        match = _SUMS_LINE.fullmatch(line)
        if not match or ".." in Path(match[2]).parts or Path(match[2]).is_absolute():
            yield f"{SUMS} has a line that is no digest of a file in the folder: {line[:100]!r}"
            continue
        listed.add(match[2])
        if not (folder / match[2]).is_file():
            yield f"{match[2]} is in {SUMS} but missing"
        elif sha256_of(folder / match[2]) != match[1]:
            yield f"{match[2]} does not have the digest that {SUMS} gives"
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    there = {path.as_posix() for path in found if path.parts[0] not in BROUGHT_ALONG}
    yield from (f"{name} is not in {SUMS}" for name in sorted(there - listed - {SUMS, SIGNATURE}))


def _index_problems(folder: Path, tensors: Mapping[str, TensorPlace]) -> Iterator[str]:
    path = folder / INDEX
    if not path.is_file():
        files = {place.file for place in tensors.values()}
        if len(files) > 1:
            yield f"there are {len(files)} safetensors files, but no {INDEX}"
        return
    try:
        index = json.loads(path.read_bytes())
        weight_map, total = dict(index["weight_map"]), index.get("metadata", {}).get("total_size")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"{INDEX} cannot be read: {error!r}"
        return
    yield from _map_problems(folder, weight_map, tensors)
    held = sum(place.nbytes for place in tensors.values())
    if total is not None and total != held:
        yield f"{INDEX} says total_size {total}, but the tensors have {held} bytes"


def _map_problems(
    folder: Path, weight_map: Mapping[str, Any], tensors: Mapping[str, TensorPlace]
) -> Iterator[str]:
    for file in sorted({str(file) for file in weight_map.values()}):
        if not (folder / file).is_file():
            yield f"{file} is in the index but missing"
    for name, file in sorted(weight_map.items()):
        if name in tensors and tensors[name].file != file:
            yield f"{name} is in {tensors[name].file}, but the index says {file}"
        elif name not in tensors and (folder / str(file)).is_file():
            yield f"{name} is in the index, but not in {file}"
    yield from (f"{name} is not in the index" for name in sorted(tensors.keys() - weight_map))
