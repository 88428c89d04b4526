"""Quantize one run of consecutive blocks: what a GPU worker executes.

A segment starts from the 16-bit model's activations.  Inside it every block sees what the quantized
blocks before it give and learns to reproduce what the 16-bit block gives on the 16-bit chain, so
segments need nothing of each other and may run anywhere, at the same time.  Each finished block is
in the store before the next one starts: a segment that is killed goes on behind its last block.
"""

import itertools

from prefect import flow

from flows import report
from flows.errors import RecipeError
from tasks import bars, progress, quantize
from tasks.moving import Moving
from tasks.specs import BlockRecord, SegmentPlan


@flow(name="quantize-segment", flow_run_name="{plan.title}", persist_result=False)
def quantize_segment(plan: SegmentPlan) -> tuple[BlockRecord, ...]:
    """Quantize the blocks of ``plan`` one after the other.

    Returns:
        One record a block, in order.
    """
    with quantize.open_segment(plan) as segment, bars.blocks_moving(plan) as bar:
        return tuple(
            _one_block(plan, segment, block, bar)
            for block in range(plan.first_block, plan.end_block)
        )


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
