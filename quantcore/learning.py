"""Learn the rounding of one block, and keep the best candidate or what learning began from.

The loop follows Cheng et al. (arXiv:2309.05516, algorithm 1): all Linears of a block are learned
together, so that the block keeps its output.  Two things differ on purpose:

- Candidates are judged on held-out samples, the same for all, and not by the loss of whichever
  mini-batch was easiest.  They are few: round-to-nearest, and snapshots of the second half.
- A block that ends worse than round-to-nearest, or not finite, *is* round-to-nearest, and says so.

Learning may also begin from a rounding that was found before, on other inputs: a seam between
segments.  Then that rounding is the first candidate, and what is kept is never worse.

A snapshot is codes and scales, an eighth of the memory of V.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from quantcore import seam, seeds, signround
from quantcore.activations import Batch, Chain
from quantcore.block import Block, Losses, QuantizedBlock, nearest_weights, to_cpu
from quantcore.errors import EmptyCalibrationError, NonFiniteBlockError
from quantcore.grid import IntGrid, QuantizedWeight
from quantcore.judge import Candidate, Judge, better
from quantcore.loading import loaded
from quantcore.signround import GroupedWeight, Rounding, SignRound

Progress = Callable[[int, float], None]


def learn_block(  # noqa: PLR0913 -- a block, its two chains, how, and from where
    block: Block,
    inputs: Chain,
    targets: Chain,
    grid: IntGrid,
    how: SignRound,
    *,
    found: Mapping[str, QuantizedWeight] | None = None,
    progress: Progress = lambda _iteration, _loss: None,
) -> QuantizedBlock:
    """Learn the rounding of a block from what goes in (quantized chain) and should come out.

    Args:
        block: The 16-bit block.
        inputs: What the blocks before it give once quantized.
        targets: What the 16-bit block gives on the 16-bit chain.
        grid: What the weights are snapped to.
        how: How long and how fast.
        found: Codes to begin from, by name; None begins from round-to-nearest.
        progress: Called after each step with its number from 1 and its training loss.

    Raises:
        EmptyCalibrationError: There is no sample.
        GroupSizeError: The group size does not divide a Linear's input features.
        NonFiniteWeightError: A weight holds NaN or inf.
        WeightRangeError: A scale would not fit float16.
        NonFiniteBlockError: The targets themselves are not finite.
    """
    if len(inputs) == 0:
        raise EmptyCalibrationError
    rounded = nearest_weights(block.weights, grid)  # first: a broken weight is said by its name
    if (sample := targets.first_not_finite()) is not None:
        raise NonFiniteBlockError(block=block.index, sample=sample, dtype=str(block.dtype))
    training, held = seeds.holdout(len(inputs), how.holdout, how.seed, "split")
    judge = Judge(block, inputs, targets, held, how.batch_size)
    nearest = judge.candidate(0, rounded)
    first = nearest
    if found is not None:
        first = judge.candidate(0, {n: found[n].to(block.device) for n in block.weights})
    start = _Start(block, grid, found)
    steps = _descend(start, inputs, targets, training, how)
    best, curve, checks = _choose(first, steps, judge, progress)
    losses = Losses(nearest.loss, best.loss, judge.signal(), tuple(curve), tuple(checks))
    return QuantizedBlock(
        weights=to_cpu(best.weights),
        losses=losses if found is None else losses._replace(found=first.loss),
        chosen_iteration=best.iteration,
        fallback=None if found is not None else _why_nearest(best, curve, how),
    )


class _Start(NamedTuple):
    """What a descent begins from."""

    block: Block
    grid: IntGrid
    found: Mapping[str, QuantizedWeight] | None

    def weights(self) -> tuple[dict[str, GroupedWeight], dict[str, Rounding]]:
        """Return each Linear's weight, and where its rounding begins."""
        weights = {
            name: signround.grouped(name, weight, self.grid)
            for name, weight in self.block.weights.items()
        }
        if self.found is None:
            return weights, {name: signround.start(weight) for name, weight in weights.items()}
        pairs = {
            name: seam.start_from(weight, self.found[name].to(self.block.device), self.grid)
            for name, weight in weights.items()
        }
        return {n: pair[0] for n, pair in pairs.items()}, {n: pair[1] for n, pair in pairs.items()}


Steps = Iterator[tuple[int, float, Mapping[str, QuantizedWeight] | None]]


def _choose(
    first: Candidate, steps: Steps, judge: Judge, progress: Progress
) -> tuple[Candidate, list[float], list[tuple[int, float]]]:
    """Follow the descent; return (best candidate, training losses, held-out losses by step)."""
    best, curve, checks = first, list[float](), [(first.iteration, first.loss)]
    for done, loss, taken in steps:
        curve.append(loss)
        progress(done, loss)
        if taken is not None:
            candidate = judge.candidate(done, taken)
            checks.append((done, candidate.loss))
            best = better(best, candidate)
    return best, curve, checks


def _descend(
    start: _Start, inputs: Chain, targets: Chain, training: Sequence[int], how: SignRound
) -> Steps:
    """Yield (steps done, training loss, candidate when one is due) for each step of sign descent.

    Ends early, without a candidate, when a loss is not finite.
    """
    block, grid = start.block, start.grid
    weights, roundings = start.weights()
    due = how.check_points()
    groups = _minibatches(training, how, block.index)
    pairs = loaded((inputs, targets), groups, block.device, block.dtype)
    for iteration, (batch, target) in enumerate(pairs):
        loss = _learn_step(block, weights, roundings, grid, (batch, target.hidden_BTH))
        if not math.isfinite(loss):
            yield iteration + 1, loss, None
            return
        signround.sign_step(roundings, how.rate(iteration, grid.bits))
        taken = _snapshot(weights, roundings, grid) if iteration + 1 in due else None
        yield iteration + 1, loss, taken


def _minibatches(training: Sequence[int], how: SignRound, index: int) -> Iterator[list[int]]:
    """Yield the samples of each step."""
    for iteration in range(how.iters):
        picks = seeds.minibatch(
            iteration, count=len(training), size=how.batch_size, key=(how.seed, index)
        )
        yield [training[pick] for pick in picks]


def _learn_step(
    block: Block,
    weights: Mapping[str, GroupedWeight],
    roundings: Mapping[str, Rounding],
    grid: IntGrid,
    pair: tuple[Batch, Tensor],
) -> float:
    """Run the block on one batch, leave the slopes on the parameters, return the loss."""
    batch, target_BTH = pair
    exchanged = {
        name: signround.fake_quantize(weight, roundings[name], grid, block.dtype)
        for name, weight in weights.items()
    }
    total, count = batch.squared_error(block.forward(exchanged, batch), target_BTH)
    loss = total / count
    torch.autograd.backward(loss)
    return float(loss.detach())


def _snapshot(
    weights: Mapping[str, GroupedWeight], roundings: Mapping[str, Rounding], grid: IntGrid
) -> dict[str, QuantizedWeight]:
    return {name: signround.quantize(w, roundings[name], grid) for name, w in weights.items()}


def _why_nearest(best: Candidate, curve: Sequence[float], how: SignRound) -> str | None:
    """Say why round-to-nearest was kept, if it was and learning was asked for."""
    if how.iters == 0 or best.iteration > 0:
        return None
    if not math.isfinite(best.loss):
        return (
            "no candidate gives finite outputs on held-out samples, round-to-nearest included; "
            "kept that, and the blocks after this one will suffer: run in float32"
        )
    if not math.isfinite(curve[-1]):
        return f"the loss was not finite at iteration {len(curve)}; kept round-to-nearest"
    return "no candidate was better than round-to-nearest on held-out samples; kept that"
