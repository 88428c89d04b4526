"""Quantize the blocks of one segment, one task a block, each left in the store when it is done.

A segment starts from the 16-bit model's activations.  Inside it every block sees what the quantized
blocks before it give, and learns to reproduce what the 16-bit block gives on the 16-bit chain.  A
block whose fingerprint is in the store is not computed again: the chains are carried through it
from its codes, and only when a later block needs them.

A seam is a segment that tunes found codes once more, for a few steps: its quantized chain comes
from the first token, through the codes of all blocks before.
"""

import math
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE

from infra.files import Json
from infra.models.finding import present
from infra.scratch import scratch_folder
from infra.store import Store, fingerprint, open_store
from quantcore import ENGINE_VERSION
from quantcore.block import QuantizedBlock, advance, nearest_block
from quantcore.grid import IntGrid
from quantcore.learning import learn_block
from quantcore.metrics import sqnr_db
from quantcore.signround import SignRound
from tasks.codes import read_codes, read_story, write_codes
from tasks.engine import OpenModel, budget_of, grid_of, hardware, open_source, torch_threads
from tasks.outcomes import intact
from tasks.pair import Pair, start_pair
from tasks.progress import ProgressEvent, emit
from tasks.sharing import made_once
from tasks.specs import BlockRecord, SegmentPlan


@dataclass(slots=True)
class Segment:
    """A segment in work: the plan, the open model, and how far it is."""

    plan: SegmentPlan
    store: Store
    model: OpenModel
    scratch: Path
    records: list[BlockRecord] = field(default_factory=list)
    chains: Pair | None = None

    @property
    def grid(self) -> IntGrid:
        """Bits, group size and symmetry."""
        return grid_of(self.plan.quantization)

    @property
    def how(self) -> SignRound:
        """Steps, rates, seed, samples held out."""
        asked = self.plan.quantization
        return SignRound(
            iters=asked.iters if self.plan.found is None else asked.seam,
            batch_size=asked.batch_size,
            lr=asked.lr,
            seed=asked.seed,
            holdout=asked.holdout,
        )


@contextmanager
def open_segment(plan: SegmentPlan) -> Iterator[Segment]:
    """Open a segment for `quantize_block`; its scratch files are gone afterwards.

    Raises:
        InfraError: The model cannot be opened.
    """
    store = open_store(plan.place)
    model = open_source(present(plan.source, plan.place), plan.compute)
    with (
        scratch_folder(plan.place.local / "scratch") as scratch,
        torch_threads(plan.compute.threads),
    ):
        yield Segment(plan, store, model, scratch)


@task(task_run_name="block {block}", cache_policy=NO_CACHE, persist_result=False)
def quantize_block(segment: Segment, block: int) -> BlockRecord:
    """Quantize one block, or find it in the store.  Blocks of a segment come in order.

    A block that another process is at work on is waited for, until it is there or that one is gone.
    A call that fails leaves the segment as it was: the same block may be asked for again.

    Raises:
        QuantcoreError: The weights or the block are broken, or the group size does not divide.
        InfraError: A file cannot be read, or the store cannot be written.
        ValueError: It is another block's turn.
    """
    turn = segment.plan.first_block + len(segment.records)
    if block != turn:
        raise ValueError(f"Block {block} was asked for when it was the turn of block {turn}.")
    key = _fingerprint(segment, block)
    record = made_once(
        segment.store,
        f"block {block} ({key[:12]})",
        done=lambda: _finished(segment.store, key),
        make=lambda _: _record(segment.store, key, _make(segment, block)),
    )
    segment.records.append(record)
    return record


def _finished(store: Store, key: str) -> BlockRecord | None:
    """Return the record of a finished block whose codes are intact.

    A damaged object is computed again: the same inputs give the same bytes, which mend it.
    """
    known = store.find(key)
    if known is None:
        return None
    record = BlockRecord.model_validate({**known, "reused": True})
    return record if intact(store, record.ref) else None


def _record(store: Store, key: str, made: BlockRecord) -> BlockRecord:
    """Put a block on record, and return the record that counts.

    That is the first one, perhaps of a twin that was faster; unless its codes are what was lost,
    and other codes were found in their place.
    """
    on_record = store.record(key, made.model_dump(mode="json"))
    first = BlockRecord.model_validate({**on_record, "reused": False})
    return first if first.ref == made.ref or intact(store, first.ref) else made


def _fingerprint(segment: Segment, block: int) -> str:
    """Return what decides this block's codes, and nothing else."""
    plan, place = segment.plan, segment.model.place
    parts: dict[str, Json] = {
        "step": "block",
        "engine": ENGINE_VERSION,
        "torch": torch.__version__,
        "model": plan.source.digest,
        "block": block,
        "quantization": plan.quantization.model_dump(mode="json", exclude={"segments", "seam"}),
    }
    if plan.calibration is not None:
        parts |= {
            "calibration": plan.calibration.ref.sha256,
            "segment_start": plan.first_block,
            "before": segment.records[-1].ref.sha256 if segment.records else None,
            "place": f"{place.device.type} {place.dtype}",
        }
    if plan.found is not None:
        codes = [*plan.found[: plan.first_block], *(record.ref for record in segment.records)]
        parts |= {
            "step": "seam",
            "seam": plan.quantization.seam,
            "found": plan.found[block].sha256,
            "before": [ref.sha256 for ref in codes],
        }
    return fingerprint(parts)


def _make(segment: Segment, block: int) -> BlockRecord:
    """Quantize a block and put its codes into the store."""
    started = time.perf_counter()
    learned = (
        _nearest(segment, block) if segment.plan.calibration is None else _learn(segment, block)
    )
    losses = learned.losses
    facts = {"block": block, "engine": ENGINE_VERSION}
    path = segment.scratch / f"block-{block}.safetensors"
    write_codes(path, learned, facts)
    ref = segment.store.put_file(path)
    path.unlink()
    return BlockRecord(
        block=block,
        ref=ref,
        loss_before=None if losses is None else _finite(losses.nearest),
        loss_found=None if losses is None or losses.found is None else _finite(losses.found),
        loss_after=None if losses is None else _finite(losses.chosen),
        chosen_iteration=learned.chosen_iteration,
        fallback=learned.fallback,
        sqnr_db=None if losses is None else _finite(sqnr_db(losses.signal, losses.chosen)),
        seconds=time.perf_counter() - started,
        peak_bytes=peak_bytes(segment.model.place.device),
        reused=False,
        made_on=hardware(segment.model.place),
    )


def _nearest(segment: Segment, block: int) -> QuantizedBlock:
    """Round a block to nearest: no samples, no activations, only the weights that change."""
    return nearest_block(segment.model.linears(block), segment.grid)


def _learn(segment: Segment, block: int) -> QuantizedBlock:
    """Learn a block, and carry both chains through it."""
    plan, size = segment.plan, segment.plan.quantization.batch_size
    chains = _chains_before(segment, block)
    found = None if plan.found is None else segment.store.open(plan.found[block])
    engine_block = segment.model.block(block)
    advance(engine_block, chains.full, {}, size)
    learned = learn_block(
        engine_block,
        chains.quantized,
        chains.full,
        segment.grid,
        segment.how,
        found=None if found is None else read_codes(found),
        progress=lambda step, loss: _tell(segment, block, step, loss),
    )
    advance(engine_block, chains.quantized, learned.weights, size)
    chains.block = block + 1
    segment.chains = chains
    if found is not None and learned.chosen_iteration == 0:  # still what it was, fallback or not
        return replace(learned, fallback=read_story(found)["fallback"])
    return learned


def _chains_before(segment: Segment, block: int) -> Pair:
    """Take both chains out of the segment, and carry them through what is finished.

    They are put back behind a finished block: a pair that an error left halfway is never used.
    """
    plan, size = segment.plan, segment.plan.quantization.batch_size
    chains, segment.chains = segment.chains, None
    if chains is None:
        budget = budget_of(plan.compute, segment.scratch, chains=2)
        chains = start_pair(segment.store, segment.model, plan, budget)
    done = {record.block: record for record in segment.records}
    while chains.block < block:
        engine_block = segment.model.block(chains.block)
        codes = read_codes(segment.store.open(done[chains.block].ref))
        advance(engine_block, chains.full, {}, size)
        advance(engine_block, chains.quantized, codes, size)
        chains.block += 1
    return chains


def _finite(number: float) -> float | None:
    """Return a number that JSON can say, or None: a block of zeros has no noise, in dB inf."""
    return number if math.isfinite(number) else None


def _tell(segment: Segment, block: int, step: int, loss: float) -> None:
    plan = segment.plan
    emit(ProgressEvent(plan.variant, block, plan.blocks, step, segment.how.iters, loss))


def peak_bytes(device: torch.device) -> int:
    """Return the peak memory of the GPU, or of this process on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
