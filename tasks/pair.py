"""The two chains of a segment where it begins: what the blocks should give, and what they get."""

from dataclasses import dataclass

from infra.store import Store
from quantcore.activations import Budget, Chain, duplicate
from quantcore.block import advance
from tasks.chains import front_chain, read_states, run_to
from tasks.codes import read_codes
from tasks.engine import OpenModel
from tasks.specs import CalibrationRef, SegmentPlan


@dataclass(slots=True)
class Pair:
    """Both chains, and the block that they stand in front of."""

    full: Chain  # 16-bit: its states become targets
    quantized: Chain
    block: int


def start_pair(store: Store, model: OpenModel, plan: SegmentPlan, budget: Budget) -> Pair:
    """Return both chains in front of the first block of ``plan``.

    A segment begins with both at the 16-bit model's states.  A seam's quantized chain has come
    through the codes of all blocks before.

    Raises:
        InfraError: States, samples, codes or the model cannot be read.
        ScratchSpaceError: The disk has no room for the chains.
    """
    if plan.calibration is None:
        raise ValueError("A segment without calibration has no chains.")
    if plan.found is not None:
        return _seam_pair(store, model, plan, plan.calibration, budget)
    full = _captured(store, plan, budget)
    if full is None:
        full = front_chain(store, model, plan.calibration, name="full", budget=budget)
        run_to(model, full, range(plan.first_block), plan.quantization.batch_size)
    return Pair(full, duplicate(full, name="quantized", budget=budget), plan.first_block)


def _seam_pair(
    store: Store, model: OpenModel, plan: SegmentPlan, samples: CalibrationRef, budget: Budget
) -> Pair:
    """Carry the quantized chain from the first token through the codes of the blocks before."""
    assert plan.found is not None  # noqa: S101 -- asked by the only caller
    size = plan.quantization.batch_size
    quantized = front_chain(store, model, samples, name="quantized", budget=budget)
    full = _captured(store, plan, budget)
    if full is None:
        full = duplicate(quantized, name="full", budget=budget)
        run_to(model, full, range(plan.first_block), size)
    for block, ref in enumerate(plan.found[: plan.first_block]):
        advance(model.block(block), quantized, read_codes(store.open(ref)), size)
    return Pair(full, quantized, plan.first_block)


def _captured(store: Store, plan: SegmentPlan, budget: Budget) -> Chain | None:
    """Return the 16-bit states that the plan starts from, if it names some."""
    if plan.start is None:
        return None
    return read_states(store.open(plan.start), name="full", budget=budget)
