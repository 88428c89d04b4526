"""Quantize all blocks of all variants, cut into segments: here, or on the workers of a pool.

The 16-bit states in front of the segments are captured once; then no segment needs another, and
they run side by side on as many workers as there are.  A seam goes over what they have found once
more, in order, with what the quantized blocks in front really give.
"""

import asyncio
from typing import NamedTuple

from flows.capture import Captured, capture_job
from flows.jobs import Job
from flows.pool import Pool, all_of, workers_of
from flows.segment import Records, segment_job
from infra.models.source import ModelSource
from infra.store import ArtifactRef, Place, open_store
from tasks.capture import CapturePlan
from tasks.specs import (
    CalibrationRef,
    ComputeSpec,
    QuantizationSpec,
    SegmentPlan,
    WorkersSpec,
)


class Cut(NamedTuple):
    """What all variants of a run have in common: the model, where it is cut, and how it is done."""

    source: ModelSource
    runs: tuple[range, ...]  # the blocks of each segment
    quantization: QuantizationSpec
    compute: ComputeSpec
    place: Place

    @property
    def blocks(self) -> int:
        """Blocks of the model."""
        return self.runs[-1].stop

    @property
    def has_seam(self) -> bool:
        """Whether what the segments have found is tuned again."""
        return self.quantization.seam > 0 and self.quantization.iters > 0 and len(self.runs) > 1


class Asked(NamedTuple):
    """One variant: its name, and its samples; None where nothing is learned."""

    name: str
    samples: CalibrationRef | None


def quantize_variants(
    cut: Cut, variants: tuple[Asked, ...], workers: WorkersSpec
) -> dict[str, Records]:
    """Return one record a block of each variant, by its name.

    Raises:
        WorkError: The workers of the pool were lost or failed.
        InfraError: A file cannot be read or written.
        QuantcoreError: The weights or the grid refuse.
    """
    if workers.pool is None:
        return {variant.name: _here(cut, variant) for variant in variants}

    async def on_workers() -> list[Records]:
        async with workers_of(workers, open_store(cut.place)) as pool:
            return await all_of([_on(pool, cut, variant) for variant in variants])

    made = asyncio.run(on_workers())
    return {variant.name: records for variant, records in zip(variants, made, strict=True)}


def _here(cut: Cut, variant: Asked) -> Records:
    """Quantize one variant in this process, segment by segment."""
    capture = capture_of(cut, variant)
    starts = {} if capture is None else _by_block(capture.here())
    made: Records = ()
    for run in cut.runs:
        made += segment_of(cut, variant, run, starts.get(run.start)).here()
    if cut.has_seam:
        made = _joined(made, seam_of(cut, variant, made, starts).here())
    return made


async def _on(pool: Pool, cut: Cut, variant: Asked) -> Records:
    """Quantize one variant on workers: the first segment needs no capture, so it starts at once."""
    capture = capture_of(cut, variant)
    starts: dict[int, ArtifactRef] = {}

    async def behind() -> Records:
        if capture is not None:
            starts.update(_by_block(await pool.do(capture)))
        jobs = [segment_of(cut, variant, run, starts.get(run.start)) for run in cut.runs[1:]]
        return _chained(await all_of([pool.do(job) for job in jobs]))

    first = pool.do(segment_of(cut, variant, cut.runs[0], None))
    made = _chained(await all_of([first, behind()]))
    if cut.has_seam:
        made = _joined(made, await pool.do(seam_of(cut, variant, made, starts)))
    return made


def capture_of(cut: Cut, variant: Asked) -> Job[Captured] | None:
    """Return the capture of a variant's starts; None where no segment needs one."""
    if variant.samples is None or len(cut.runs) == 1:
        return None
    return capture_job(
        CapturePlan(
            variant=variant.name,
            source=cut.source,
            calibration=variant.samples,
            batch_size=cut.quantization.batch_size,
            compute=cut.compute,
            starts=tuple(run.start for run in cut.runs[1:]),
            place=cut.place,
        )
    )


def segment_of(cut: Cut, variant: Asked, run: range, start: ArtifactRef | None) -> Job[Records]:
    """Return the quantization of one segment of a variant."""
    return segment_job(_plan(cut, variant, run, start, None))


def seam_of(
    cut: Cut, variant: Asked, found: Records, starts: dict[int, ArtifactRef]
) -> Job[Records]:
    """Return the seam of a variant: the first segment had its true inputs and stays as it is."""
    run = range(cut.runs[1].start, cut.blocks)
    codes = tuple(record.ref for record in found)
    return segment_job(_plan(cut, variant, run, starts.get(run.start), codes))


def _plan(
    cut: Cut,
    variant: Asked,
    run: range,
    start: ArtifactRef | None,
    found: tuple[ArtifactRef, ...] | None,
) -> SegmentPlan:
    return SegmentPlan(
        variant=variant.name,
        source=cut.source,
        calibration=variant.samples,
        quantization=cut.quantization,
        compute=cut.compute,
        first_block=run.start,
        end_block=run.stop,
        blocks=cut.blocks,
        place=cut.place,
        start=start,
        found=found,
    )


def _by_block(captured: Captured) -> dict[int, ArtifactRef]:
    return {start.block: start.ref for start in captured}


def _chained(parts: list[Records]) -> Records:
    return tuple(record for part in parts for record in part)


def _joined(made: Records, tuned: Records) -> Records:
    """Return records with those that a seam has replaced."""
    return made[: tuned[0].block] + tuned
