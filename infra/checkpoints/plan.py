"""What an export will hold, decided from names and sizes before a single weight is read.

The order of the source decides the order of the output.  Each source tensor becomes a *unit*:
itself, or, where a Linear was quantized, the tensors that replace its weight.  Units fill shards
in turn, so the plan, and with it every byte written, is a function of the source and the recipe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from infra.checkpoints.tensorfile import TensorSpec
from infra.errors import ExportPlanError
from infra.files import Json
from infra.models.tensors import TensorIndex

Format: TypeAlias = Literal["auto_round", "auto_gptq"]
FORMATS: tuple[Format, ...] = ("auto_round", "auto_gptq")

MAX_SHARD_BYTES = 2_000_000_000
G_IDX_FILE = "model-g-idx.safetensors"
_WEIGHT = ".weight"
_LINEAR_DIMENSIONS = 2


class Replacement(Protocol):
    """Gives the packed tensors that stand in for a quantized Linear's weight."""

    @property
    def names(self) -> frozenset[str]:
        """The source names that are replaced, as in ``model.layers.0.mlp.up_proj.weight``."""
        ...

    def shapes(self, weight_name: str) -> Mapping[str, TensorSpec]:
        """Announce the full names, dtypes and shapes of what a call will give."""
        ...

    def __call__(self, weight_name: str) -> Mapping[str, Tensor]:
        """Return the tensors by full name, as in ``model.layers.0.mlp.up_proj.qweight``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """What to write, and where.

    Attributes:
        out_dir: Folder that gets one new folder a format.
        formats: Which of them.
        bits: Width of a code.
        group_size: Input features that share a scale; -1 for all.
        sym: Whether zero points are fixed in the middle.
        g_idx: int32 ``[in]`` under the full name ``X.g_idx`` of every quantized Linear; only the
            auto_gptq format holds them.
        provenance: What else ``roundhouse.json`` is to tell: recipe, calibration, versions, losses.
        max_shard_bytes: Largest shard, but for a single unit that is larger.
    """

    out_dir: Path
    formats: tuple[Format, ...] = FORMATS
    bits: int
    group_size: int
    sym: bool
    g_idx: Mapping[str, Tensor]
    provenance: Mapping[str, Json] = field(default_factory=dict)
    max_shard_bytes: int = MAX_SHARD_BYTES


class Unit(NamedTuple):
    """One source tensor and what it becomes."""

    source: str
    replaced: bool
    outputs: Mapping[str, TensorSpec]

    @property
    def nbytes(self) -> int:
        """Bytes of all its outputs."""
        return sum(spec.nbytes for spec in self.outputs.values())


class Shard(NamedTuple):
    """One file of the output."""

    file: str
    units: tuple[Unit, ...]

    @property
    def specs(self) -> dict[str, TensorSpec]:
        """Every tensor of the file."""
        return {name: spec for unit in self.units for name, spec in unit.outputs.items()}


def plan_shards(
    index: TensorIndex, replacement: Replacement, max_shard_bytes: int
) -> tuple[Shard, ...]:
    """Cut the output into shards, in source order.

    Raises:
        ExportPlanError: A replaced weight is not in the source, is not a Linear's ``X.weight``, or
            would be replaced by names that are taken or belong to another module.
    """
    units = tuple(_unit(name, index, replacement) for name in index.names)
    _require_known(replacement.names, index.names)
    _require_distinct(units)
    groups = _fill(units, max_shard_bytes)
    return tuple(
        Shard(f"model-{number:05d}-of-{len(groups):05d}.safetensors", tuple(group))
        for number, group in enumerate(groups, start=1)
    )


def check_g_idx(g_idx: Mapping[str, Tensor], index: TensorIndex, weights: frozenset[str]) -> None:
    """Require one ``g_idx`` for each replaced weight, as long as that Linear has inputs.

    Raises:
        ExportPlanError: One is missing, superfluous, or of another dtype or length.
    """
    wanted = {f"{module_of(name)}.g_idx": index.shape(name)[1] for name in weights}
    if wanted.keys() != g_idx.keys():
        differing = sorted(wanted.keys() ^ g_idx.keys())
        raise ExportPlanError(
            "The auto_gptq format needs one g_idx for each quantized Linear and no other; "
            f"{len(differing)} names differ, the first being {differing[0]!r}."
        )
    for name, tensor in g_idx.items():
        if tensor.dtype != torch.int32 or tuple(tensor.shape) != (wanted[name],):
            raise ExportPlanError(
                f"{name} is {tensor.dtype} {list(tensor.shape)}; it must be torch.int32 "
                f"[{wanted[name]}], the group of each input feature."
            )


def module_of(weight_name: str) -> str:
    """Return ``X`` of ``X.weight``."""
    return weight_name.removesuffix(_WEIGHT)


def _unit(name: str, index: TensorIndex, replacement: Replacement) -> Unit:
    if name in replacement.names:
        if not name.endswith(_WEIGHT) or len(index.shape(name)) != _LINEAR_DIMENSIONS:
            raise ExportPlanError(
                f"{name!r} {list(index.shape(name))} is no Linear's weight: it must have two "
                "dimensions and a name that ends in .weight."
            )
        return Unit(name, replaced=True, outputs=dict(replacement.shapes(name)))
    spec = TensorSpec(index.dtype(name), tuple(index.shape(name)))
    return Unit(name, replaced=False, outputs={name: spec})


def _fill(units: Sequence[Unit], max_shard_bytes: int) -> list[list[Unit]]:
    groups: list[list[Unit]] = [[]]
    size = 0
    for unit in units:
        if groups[-1] and size + unit.nbytes > max_shard_bytes:
            groups.append([])
            size = 0
        groups[-1].append(unit)
        size += unit.nbytes
    return groups


def _require_known(replaced: frozenset[str], names: tuple[str, ...]) -> None:
    unknown = sorted(replaced - set(names))
    if unknown:
        raise ExportPlanError(
            f"{len(unknown)} quantized weights are not in the source checkpoint, the first being "
            f"{unknown[0]!r}. Names must be those of the source's own safetensors files."
        )


def _require_distinct(units: Sequence[Unit]) -> None:
    taken: set[str] = set()
    for unit in units:
        for name in unit.outputs:
            if unit.replaced and not name.startswith(f"{module_of(unit.source)}."):
                raise ExportPlanError(
                    f"{unit.source!r} would be replaced by {name!r}, which belongs to another "
                    "module."
                )
            if name in taken:
                raise ExportPlanError(f"Two tensors would be called {name!r}.")
            taken.add(name)
