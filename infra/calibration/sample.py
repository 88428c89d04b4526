"""Samples as the model takes them, and the one file that holds them.

Each sample keeps its own length, its own picture and its own token types: nothing is padded, so
nothing has to be masked later.  The file is safetensors, its tensors named "00017.input_ids", with
the report in its metadata; the same samples give the same bytes.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from infra.calibration.report import CalibrationReport
from infra.checkpoints.tensorfile import save_tensors
from infra.errors import SampleFileError
from infra.files import atomic_path, make_folder

_KEY = "roundhouse.calibration"  # one key alone: several would be written in any order


class Sample(NamedTuple):
    """One sample, without a batch axis.  T tokens, P patches."""

    input_ids: Tensor  # int64 [T]
    mm_token_type_ids: Tensor | None  # int64 [T], 1 where a token stands for picture; None: text
    pixel_values: Tensor | None  # float32 [P, patch values]
    image_grid_thw: Tensor | None  # int64 [pictures, 3]: frames, rows and columns of patches


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """Samples and what is known about them.  ``len(samples) == report.nsamples``."""

    samples: tuple[Sample, ...]
    report: CalibrationReport


def digest(samples: Iterable[Sample]) -> str:
    """Return the SHA-256 over all tensors: position, name, dtype, shape and bytes of each."""
    sha = hashlib.sha256()
    for index, sample in enumerate(samples):
        for name, tensor in zip(sample._fields, sample, strict=True):
            if tensor is not None:
                sha.update(f"{index}.{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                sha.update(tensor.contiguous().numpy().data)
    return sha.hexdigest()


def save(calibration: CalibrationSet, path: Path) -> None:
    """Write a set to one safetensors file, all of it or nothing.

    Raises:
        StorageError: The file cannot be written.
    """
    tensors = {
        f"{index:05d}.{name}": tensor
        for index, sample in enumerate(calibration.samples)
        for name, tensor in zip(sample._fields, sample, strict=True)
        if tensor is not None
    }
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        save_tensors(temporary, tensors, {_KEY: calibration.report.model_dump_json()})


def load(path: Path) -> CalibrationSet:
    """Read a set back.  Tensors are mapped from the file, and read when they are touched.

    Raises:
        SampleFileError: The file is missing, cut short, or holds something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            report = CalibrationReport.model_validate_json(metadata.get(_KEY, ""))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    except (OSError, SafetensorError, ValidationError) as error:
        raise SampleFileError(
            f"{path} holds no calibration samples that can be read: {error}. Draw them again."
        ) from error
    samples = tuple(_sample(tensors, index) for index in range(report.nsamples))
    if sum(tensor is not None for sample in samples for tensor in sample) != len(tensors):
        raise SampleFileError(
            f"{path} holds {len(tensors)} tensors, not those of the {report.nsamples} samples that "
            "its report tells of. Draw them again."
        )
    return CalibrationSet(samples, report)


def _sample(tensors: dict[str, Tensor], index: int) -> Sample:
    empty = torch.empty(0, dtype=torch.int64)
    return Sample(
        tensors.get(f"{index:05d}.input_ids", empty),
        *(tensors.get(f"{index:05d}.{name}") for name in Sample._fields[1:]),
    )
