"""Write a quantized model in the `auto_round` and `auto_gptq` formats, from one set of tensors.

The formats hold the same tensors under the source's own names; only ``g_idx`` is auto_gptq's alone
and goes into a small file of its own.  So the shards are written once and shared by hard link.
Weights are streamed: at any moment one tensor of the source, or the replacement of one, is in
memory.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from infra.checkpoints.configs import (
    COPY_OF_CONFIG,
    KEY,
    config_bytes,
    quantization_config,
    source_config,
)
from infra.checkpoints.papers import write_index, write_papers
from infra.checkpoints.plan import (
    G_IDX_FILE,
    ExportPlan,
    Format,
    Replacement,
    Shard,
    check_g_idx,
    plan_shards,
)
from infra.checkpoints.sidefiles import copy_side_files, side_files
from infra.checkpoints.staging import require_absent, staging
from infra.checkpoints.tensorfile import TensorSpec, write_tensors
from infra.files import explaining, link_or_copy, write_atomically
from infra.models.source import CONFIG_FILE, ModelSource
from infra.models.tensors import TensorIndex


def write_checkpoints(
    source: ModelSource, index: TensorIndex, replacement: Replacement, plan: ExportPlan
) -> dict[Format, Path]:
    """Write ``plan.out_dir/<format>`` for each format; all of them appear at the end, or none.

    Args:
        source: The 16-bit model's folder, for its config and side files, and its provenance.
        index: Its tensors.
        replacement: What stands in for the weights of the quantized Linears.
        plan: What to write, and where.

    Returns:
        The folder of each format.

    Raises:
        OutputExistsError: A folder of that name exists; nothing was done.
        ExportPlanError: Names, shapes or ``g_idx`` do not fit together; nothing was done, unless a
            tensor turned out not to be as announced, in which case nothing is left.
        ModelConfigError: The source has no usable config.json.
        AlreadyQuantizedError: The source is no 16-bit model.
        StorageError: Something cannot be read or written; nothing is left.
    """
    require_absent(plan.out_dir, plan.formats)
    config = source_config(source.path)
    shards = plan_shards(index, replacement, plan.max_shard_bytes)
    if "auto_gptq" in plan.formats:
        check_g_idx(plan.g_idx, index, replacement.names)
    digests: dict[int, str] = {}
    with staging(plan.out_dir, plan.formats, needed_bytes=_needed(source, shards)) as stage:
        first, *others = (stage / kind for kind in plan.formats)
        _write_shards(first, shards, index, replacement)
        for folder in others:
            _share_shards(first, folder, shards)
        for kind in plan.formats:
            _complete(stage / kind, kind, shards, config, plan)
            copy_side_files(source.path, stage / kind)
            write_papers(stage / kind, kind, source, plan, digests)
    return {kind: plan.out_dir / kind for kind in plan.formats}


def _write_shards(
    folder: Path, shards: tuple[Shard, ...], index: TensorIndex, replacement: Replacement
) -> None:
    folder.mkdir()
    for shard in shards:
        tensors = _tensors(shard, index, replacement)
        write_tensors(folder / shard.file, shard.specs, tensors)


def _tensors(
    shard: Shard, index: TensorIndex, replacement: Replacement
) -> Iterator[tuple[str, Tensor]]:
    for unit in shard.units:
        if unit.replaced:
            yield from replacement(unit.source).items()
        else:
            yield unit.source, index.load(unit.source)


def _share_shards(first: Path, folder: Path, shards: tuple[Shard, ...]) -> None:
    with explaining(folder, "writing"):
        folder.mkdir()
        for shard in shards:
            link_or_copy(first / shard.file, folder / shard.file)


def _complete(
    folder: Path, kind: Format, shards: tuple[Shard, ...], config: dict[str, Any], plan: ExportPlan
) -> None:
    """Add to the shared shards what is a format's own: g_idx, index, and configs."""
    files: dict[str, Mapping[str, TensorSpec]] = {shard.file: shard.specs for shard in shards}
    if kind == "auto_gptq" and plan.g_idx:
        files[G_IDX_FILE] = {
            name: TensorSpec(tensor.dtype, tuple(tensor.shape))
            for name, tensor in plan.g_idx.items()
        }
        write_tensors(folder / G_IDX_FILE, files[G_IDX_FILE], plan.g_idx.items())
    write_index(folder, files)
    quantization = quantization_config(
        kind, bits=plan.bits, group_size=plan.group_size, sym=plan.sym
    )
    write_atomically(folder / CONFIG_FILE, config_bytes({**config, KEY: quantization}))
    write_atomically(folder / COPY_OF_CONFIG[kind], config_bytes(quantization))


def _needed(source: ModelSource, shards: tuple[Shard, ...]) -> int:
    """Bytes that will be written, about: side files are copied into both folders."""
    tensors = sum(unit.nbytes for shard in shards for unit in shard.units)
    beside = sum((source.path / name).stat().st_size for name in side_files(source.path))
    return tensors + 2 * beside
