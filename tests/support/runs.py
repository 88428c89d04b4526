"""The steps of a run on a small model, called without Prefect: `task.fn` is a task's body."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.models.source import ModelSource
from infra.store import FolderStore
from tasks.export import export_checkpoint
from tasks.quantize import open_segment, quantize_block
from tasks.specs import (
    BlockRecord,
    CalibrationRef,
    ComputeSpec,
    ExportResult,
    ExportSpec,
    QuantizationSpec,
    SegmentPlan,
)
from tests.support.places import place_at

BLOCKS = 3
LEARNED = QuantizationSpec(iters=4, batch_size=4, lr=0.02, group_size=64)
NEAREST = QuantizationSpec(iters=0, group_size=64)


class World(NamedTuple):
    """What tests share and never write to: a model, and calibration sets in a store."""

    source: ModelSource
    store: Path
    texts: CalibrationRef
    pictures: CalibrationRef

    def plan(
        self,
        store: Path,
        calibration: CalibrationRef | None = None,
        quantization: QuantizationSpec = LEARNED,
        **changes: Any,
    ) -> SegmentPlan:
        """Return the plan of a whole model, whose samples are in ``store`` then."""
        if quantization.iters and calibration is None:
            calibration = self.texts
        if calibration is not None:
            FolderStore(store).put_file(FolderStore(self.store).open(calibration.ref))
        asked: dict[str, Any] = {
            "variant": "test",
            "source": self.source,
            "calibration": calibration,
            "quantization": quantization,
            "compute": ComputeSpec(device="cpu"),
            "first_block": 0,
            "end_block": BLOCKS,
            "blocks": BLOCKS,
            "place": place_at(store),
        }
        return SegmentPlan(**asked | changes)


def quantized(plan: SegmentPlan, *, until: int | None = None) -> tuple[BlockRecord, ...]:
    """Quantize the blocks of a plan, up to the block ``until``."""
    with open_segment(plan) as segment:
        return tuple(
            quantize_block.fn(segment, block)
            for block in range(plan.first_block, plan.end_block if until is None else until)
        )


def digests(records: tuple[BlockRecord, ...]) -> list[str]:
    """Return what tells codes from others."""
    return [record.ref.sha256 for record in records]


def exported(
    plan: SegmentPlan,
    records: tuple[BlockRecord, ...],
    out: Path,
    provenance: Mapping[str, Any] | None = None,
) -> ExportResult:
    """Write both formats of what was quantized."""
    return export_checkpoint.fn(
        plan.source,
        records,
        plan.quantization,
        ExportSpec(output_dir=out),
        {"variant": plan.variant} | dict(provenance or {}),
        plan.place,
    )


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
