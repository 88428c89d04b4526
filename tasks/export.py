"""Write the checkpoints: pack the stored codes once, under the source's own names."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE
from torch import Tensor

from infra.checkpoints.plan import ExportPlan, module_of
from infra.checkpoints.tensorfile import TensorSpec
from infra.checkpoints.writer import write_checkpoints
from infra.models.finding import open_tensors
from infra.models.source import ModelSource
from infra.models.tensors import TensorIndex
from infra.store import Place, Store, open_store
from quantcore.grid import IntGrid
from quantcore.packing import WORD, group_index, pack
from tasks.codes import names_of, read_one
from tasks.engine import grid_of
from tasks.finished import size_of
from tasks.specs import BlockRecord, ExportResult, ExportSpec, QuantizationSpec

GIB = 2**30


@task(task_run_name="export {provenance[variant]}", cache_policy=NO_CACHE, persist_result=False)
def export_checkpoint(
    source: ModelSource,
    records: tuple[BlockRecord, ...],
    quantization: QuantizationSpec,
    export: ExportSpec,
    provenance: Mapping[str, Any],
    place: Place,
) -> ExportResult:
    """Write a variant in each format.  All folders appear at the end, or none.

    Raises:
        InfraError: An output folder exists, the disk is full, or a stored block is damaged.
        QuantcoreError: A Linear cannot be packed at these bits.
    """
    started = time.perf_counter()
    index = open_tensors(source)
    replacement = _packed_codes(records, quantization, open_store(place), index)
    plan = ExportPlan(
        out_dir=export.output_dir,
        formats=export.formats,
        bits=quantization.bits,
        group_size=quantization.group_size,
        sym=quantization.symmetric,
        g_idx={
            f"{module_of(name)}.g_idx": group_index(index.shape(name)[1], replacement.grid)
            for name in replacement.blocks
        },
        provenance=provenance,
        max_shard_bytes=int(export.max_shard_gib * GIB),
    )
    folders = write_checkpoints(source, index, replacement, plan)
    return ExportResult(
        variant=str(provenance["variant"]),
        folders={kind: folder.absolute() for kind, folder in folders.items()},
        seconds=time.perf_counter() - started,
        bytes=size_of(folders.values()),
    )


@dataclass(frozen=True, slots=True)
class PackedCodes:
    """What stands in for each quantized weight: its codes, packed when they are asked for."""

    blocks: Mapping[str, Path]  # source weight name to the file of its block's codes
    index: TensorIndex
    grid: IntGrid

    @property
    def names(self) -> frozenset[str]:
        """The source names that are replaced."""
        return frozenset(self.blocks)

    def shapes(self, weight_name: str) -> dict[str, TensorSpec]:
        """Announce the packed tensors of one weight."""
        features_out, features_in = self.index.shape(weight_name)
        groups, bits, module = self.grid.groups(features_in), self.grid.bits, module_of(weight_name)
        return {
            f"{module}.qweight": TensorSpec(
                torch.int32, (features_in * bits // WORD, features_out)
            ),
            f"{module}.qzeros": TensorSpec(torch.int32, (groups, features_out * bits // WORD)),
            f"{module}.scales": TensorSpec(torch.float16, (groups, features_out)),
        }

    def __call__(self, weight_name: str) -> dict[str, Tensor]:
        """Pack one weight's codes."""
        packed = pack(read_one(self.blocks[weight_name], weight_name), self.grid)
        module = module_of(weight_name)
        return {f"{module}.{field}": tensor for field, tensor in packed._asdict().items()}


def _packed_codes(
    records: tuple[BlockRecord, ...],
    asked: QuantizationSpec,
    store: Store,
    index: TensorIndex,
) -> PackedCodes:
    paths = [store.open(record.ref) for record in records]
    blocks = {name: path for path in paths for name in names_of(path)}
    return PackedCodes(blocks, index, grid_of(asked))
