"""Quantize one run of consecutive blocks: what a GPU worker executes.

A segment starts from the 16-bit model's activations.  Inside it every block sees what the quantized
blocks before it give and learns to reproduce what the 16-bit block gives on the 16-bit chain, so
segments need nothing of each other and may run anywhere, at the same time.  Each finished block is
in the store before the next one starts: a segment that is killed goes on behind its last block.
"""

import itertools

from prefect import flow
from pydantic import TypeAdapter

from flows import report
from flows.errors import RecipeError
from flows.jobs import Job
from infra.models.source import ModelSource
from infra.store import open_store
from tasks import bars, progress, quantize
from tasks.moving import Moving
from tasks.outcomes import outcome_key
from tasks.specs import BlockRecord, SegmentPlan
from tasks.worker import taken

Records = tuple[BlockRecord, ...]


@flow(name="quantize-segment", flow_run_name="{plan.title}", persist_result=False)
def quantize_segment(plan: SegmentPlan) -> Records:
    """Quantize the blocks of ``plan`` one after the other.

    Args:
        plan: The model, its samples, which of its blocks, and how.

    Returns:
        One record a block, in order.

    Raises:
        EngineMismatchError: The plan is meant for another version of the engine.
        QuantcoreError: The weights or a block are broken, or there is no room for activations.
        InfraError: A file cannot be read, or the store cannot be written.
    """
    plan = taken(plan)
    with quantize.open_segment(plan) as segment, bars.blocks_moving(plan) as bar:
        records = tuple(
            _one_block(plan, segment, block, bar)
            for block in range(plan.first_block, plan.end_block)
        )
    return segment_job(plan).done(open_store(plan.place), records)


def segment_job(plan: SegmentPlan) -> Job[Records]:
    """Return the quantization of a segment as work that may be handed out."""
    knobs = {"segments"} if plan.found is not None else {"segments", "seam"}
    without = {
        **dict.fromkeys(("variant", "blocks", "start"), True),
        "source": ModelSource.model_fields.keys() - {"digest"},
        "calibration": {"name": True, "report": True, "ref": {"uri"}},
        "quantization": knobs,
        "compute": {"threads", "activation_gib"},
        "found": {"__all__": {"uri"}},
    }
    key = outcome_key("segment", plan, without)
    return Job(quantize_segment, plan, plan.title, key, TypeAdapter(Records), _found)


def _found(records: Records) -> Records:
    """Return records as a run has them that computed none of these blocks."""
    return tuple(record.model_copy(update={"reused": True}) for record in records)


def cut(blocks: int, segments: int) -> tuple[range, ...]:
    """Cut ``blocks`` into runs whose lengths differ by one at most.

    Raises:
        RecipeError: There are more segments than blocks.
    """
    if segments > blocks:
        raise RecipeError(
            f"quantization.segments = {segments}, and the model has {blocks} blocks: a segment "
            f"needs one at least. Give a number from 1 to {blocks}."
        )
    edges = [blocks * part // segments for part in range(segments + 1)]
    return tuple(range(first, end) for first, end in itertools.pairwise(edges))


def _one_block(
    plan: SegmentPlan, segment: quantize.Segment, block: int, bar: Moving
) -> BlockRecord:
    """Quantize one block, and tell the page of the run and whoever watches."""
    named = quantize.quantize_block.with_options(
        task_run_name=f"{plan.variant}: block {block + 1} of {plan.blocks}"
    )
    record = named(segment, block)
    bar.put(bars.block_done(plan, block))
    progress.say(report.block_line(plan.variant, record, plan.blocks))
    return record
