"""Capture the 16-bit states in front of each segment, once for all segments of a variant.

Every segment behind the first would otherwise run the 16-bit model up to its own first block: half
the model each, on average, for as many segments as there are.  One pass gives them all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import Field, model_validator

from infra.models.finding import present
from infra.models.source import ModelSource
from infra.scratch import scratch_folder
from infra.store import ArtifactRef, Store, fingerprint, open_store
from quantcore import ENGINE_VERSION
from quantcore.activations import Chain
from tasks.chains import front_chain, read_states, run_to, write_states
from tasks.engine import OpenModel, budget_of, open_source, torch_threads
from tasks.outcomes import find_outcome, put_outcome
from tasks.sharing import made_once
from tasks.specs import CalibrationRef, ComputeSpec, Spec, WorkPlan


class CapturePlan(WorkPlan):
    """Which states of one variant are captured."""

    variant: str = Field(description="The variant they belong to.")
    source: ModelSource = Field(description="The 16-bit model.")
    calibration: CalibrationRef = Field(description="The samples.")
    batch_size: int = Field(ge=1, description="Samples that pass through a block together.")
    compute: ComputeSpec = Field(description="Where, and with how much memory.")
    starts: tuple[int, ...] = Field(
        min_length=1, description="Blocks in front of which states are kept, ascending, from 1."
    )

    @property
    def title(self) -> str:
        """What the run is called where people read it; blocks are counted from 1 there."""
        blocks = ", ".join(str(start + 1) for start in self.starts)
        return f"{self.variant}: 16-bit states before block {blocks}"

    @model_validator(mode="after")
    def _ascends(self) -> "CapturePlan":
        if self.starts[0] < 1 or list(self.starts) != sorted(set(self.starts)):
            msg = f"starts {self.starts} must be block numbers from 1 on, each once, ascending"
            raise ValueError(msg)
        return self


class CapturedStart(Spec):
    """The 16-bit states in front of one block."""

    block: int = Field(ge=1, description="The block, from 0.")
    ref: ArtifactRef = Field(description="The states, one safetensors file.")
    reused: bool = Field(description="They were in the store already.")


@dataclass(slots=True)
class Capture:
    """A capture in work: the open model, and how far it is."""

    plan: CapturePlan
    store: Store
    model: OpenModel
    scratch: Path
    last: CapturedStart | None = None  # from whose states the next are made
    chain: Chain | None = None  # these states, if they are in memory


@contextmanager
def open_capture(plan: CapturePlan) -> Iterator[Capture]:
    """Open a capture for `capture_start`; its scratch files are gone afterwards.

    Raises:
        InfraError: The model cannot be opened.
    """
    store = open_store(plan.place)
    model = open_source(present(plan.source, plan.place), plan.compute)
    with (
        scratch_folder(plan.place.local / "scratch") as scratch,
        torch_threads(plan.compute.threads),
    ):
        yield Capture(plan, store, model, scratch)


@task(task_run_name="before block {block}", cache_policy=NO_CACHE, persist_result=False)
def capture_start(capture: Capture, block: int) -> CapturedStart:
    """Capture the states in front of one block, or find them.  Blocks come in ascending order.

    Nothing is computed up to the first states that are missing, but what leads there from the last
    that are not; and nothing behind the last that are asked for.  States that another process is
    at work on are waited for.

    Raises:
        InfraError: A file cannot be read, or the store cannot be written.
        ScratchSpaceError: The disk has no room for the states.
    """
    key = _fingerprint(capture, block)
    start = made_once(
        capture.store,
        f"16-bit states before block {block} ({key[:12]})",
        done=lambda: _found(capture.store, key),
        make=lambda _: _made(capture, block, key),
    )
    if start.reused:
        capture.chain = None  # stands further in front; the next go on from the file
    capture.last = start
    return start


def _found(store: Store, key: str) -> CapturedStart | None:
    """Return the states on record, if they are intact."""
    known = find_outcome(store, key)
    if known is None:
        return None
    return CapturedStart.model_validate(known).model_copy(update={"reused": True})


def _made(capture: Capture, block: int, key: str) -> CapturedStart:
    """Compute states, and put them on record."""
    chain = _chain_before(capture, block)
    made = CapturedStart(block=block, ref=_stored(capture, chain, block), reused=False)
    put_outcome(capture.store, key, made.model_dump(mode="json"))
    capture.chain = chain
    return made


def _chain_before(capture: Capture, block: int) -> Chain:
    """Carry the last states on to ``block``; a chain that an error left halfway is let go."""
    chain, capture.chain = capture.chain or _last_states(capture), None
    first = 0 if capture.last is None else capture.last.block
    run_to(capture.model, chain, range(first, block), capture.plan.batch_size)
    return chain


def _last_states(capture: Capture) -> Chain:
    """Return the states that are known last, or those in front of block 0."""
    plan = capture.plan
    budget = budget_of(plan.compute, capture.scratch, chains=1)
    if capture.last is not None:
        return read_states(capture.store.open(capture.last.ref), name="start", budget=budget)
    return front_chain(capture.store, capture.model, plan.calibration, name="start", budget=budget)


def _stored(capture: Capture, chain: Chain, block: int) -> ArtifactRef:
    """Put states into the store."""
    path = capture.scratch / f"before-{block}.safetensors"
    try:
        write_states(path, chain)
        return capture.store.put_file(path)
    finally:
        path.unlink(missing_ok=True)


def _fingerprint(capture: Capture, block: int) -> str:
    """Return what decides these states, and nothing else."""
    plan, place = capture.plan, capture.model.place
    return fingerprint(
        {
            "step": "16-bit states",
            "engine": ENGINE_VERSION,
            "torch": torch.__version__,
            "model": plan.source.digest,
            "calibration": plan.calibration.ref.sha256,
            "batch_size": plan.batch_size,
            "place": f"{place.device.type} {place.dtype}",
            "block": block,
        }
    )
