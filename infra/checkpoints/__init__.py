"""Quantized checkpoints: written under the source's names, and read back to be judged."""

from infra.checkpoints.inspection import CheckpointReport, inspect
from infra.checkpoints.plan import FORMATS, ExportPlan, Format, Replacement
from infra.checkpoints.staging import require_absent
from infra.checkpoints.tensorfile import TensorSpec
from infra.checkpoints.writer import write_checkpoints

__all__ = [
    "FORMATS",
    "CheckpointReport",
    "ExportPlan",
    "Format",
    "Replacement",
    "TensorSpec",
    "inspect",
    "require_absent",
    "write_checkpoints",
]
