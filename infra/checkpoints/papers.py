"""The papers that travel with a checkpoint: index, provenance and digests.

All are deterministic: sorted, without time stamps.  `SHA256SUMS` is what `sha256sum -c` reads and
covers every other file; `roundhouse.json` says where the checkpoint comes from and what is in it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.checkpoints.plan import ExportPlan, Format
from infra.checkpoints.sidefiles import PROVENANCE, SUMS, sums_of
from infra.checkpoints.tensorfile import TensorSpec
from infra.files import Json, sha256_of, write_atomically
from infra.models.source import ModelSource

INDEX = "model.safetensors.index.json"
SCHEMA = 1  # of roundhouse.json


def write_index(folder: Path, files: Mapping[str, Mapping[str, TensorSpec]]) -> None:
    """Write the index that tells in which file each tensor is.

    Raises:
        StorageError: It cannot be written.
    """
    weight_map = {name: file for file, specs in files.items() for name in specs}
    total = sum(spec.nbytes for specs in files.values() for spec in specs.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    write_atomically(folder / INDEX, (json.dumps(index, indent=2) + "\n").encode())


def write_papers(
    folder: Path, kind: Format, source: ModelSource, plan: ExportPlan, known: dict[int, str]
) -> None:
    """Write ``roundhouse.json`` and ``SHA256SUMS`` over all that lies in ``folder``.

    Args:
        folder: A checkpoint that is otherwise complete.
        kind: Its format.
        source: The 16-bit model.
        plan: What was asked for.
        known: Digests by inode; those that are computed here are added, so that a file shared by
            two folders is read once.

    Raises:
        StorageError: A file cannot be read or written.
    """
    digests = {name: _digest(folder / name, known) for name in _files(folder)}
    told = {
        "schema": SCHEMA,
        "format": kind,
        "quantization": {"bits": plan.bits, "group_size": plan.group_size, "sym": plan.sym},
        "source": {
            "repo_id": source.repo_id,
            "commit": source.commit,
            "digest": source.digest,
        },
        "files": {
            name: {"bytes": (folder / name).stat().st_size, "sha256": digest}
            for name, digest in digests.items()
        },
        "bytes": sum((folder / name).stat().st_size for name in digests),
        "provenance": sayable(plan.provenance),
    }
    text = json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(folder / PROVENANCE, text.encode())
    digests[PROVENANCE] = sha256_of(folder / PROVENANCE)
    write_atomically(folder / SUMS, sums_of(digests))


def sayable(value: Json) -> Json:
    """Return ``value`` with None for every number that JSON cannot say (NaN, infinity)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: sayable(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [sayable(inner) for inner in value]
    return value


def _files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _digest(path: Path, known: dict[int, str]) -> str:
    inode = path.stat().st_ino
    if inode not in known:
        known[inode] = sha256_of(path)
    return known[inode]
