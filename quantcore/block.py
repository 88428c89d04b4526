"""Quantize one block: learn its rounding, judge the candidates honestly, keep the best or none.

The loop follows Cheng et al. (arXiv:2309.05516, algorithm 1): all Linears of a block are learned
together, so that the block keeps its output.  Two things differ on purpose:

- Candidates are judged on held-out samples, the same for all, and not by the loss of whichever
  mini-batch was easiest.  They are few: round-to-nearest, and snapshots of the second half.
- A block that ends worse than round-to-nearest, or not finite, *is* round-to-nearest, and says so.

A snapshot is codes and scales, an eighth of the memory of V.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from quantcore import seeds, signround
from quantcore.activations import Batch, Chain
from quantcore.errors import EmptyCalibrationError, NonFiniteBlockError
from quantcore.grid import IntGrid, QuantizedWeight, dequantize
from quantcore.signround import GroupedWeight, Rounding, SignRound


class BlockForward(Protocol):
    """Runs a block on a batch with some of its weights exchanged, and changes nothing."""

    def __call__(self, weights: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Return the block's output ``[B, T, H]``; ``weights`` is empty for the block as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One decoder block as the engine sees it.

    Attributes:
        index: Its number in the model; part of the key of every draw.
        weights: The Linears to quantize, name to weight ``[O, I]``, on the compute device.
        forward: How to run it.
        device: Where it runs.
        dtype: What it runs in.
    """

    index: int
    weights: Mapping[str, Tensor]
    forward: BlockForward
    device: torch.device
    dtype: torch.dtype


class Losses(NamedTuple):
    """Mean squared errors of the block's output against the 16-bit block's.

    ``training`` has one value a step; the others are on held-out samples.
    """

    nearest: float  # of round-to-nearest
    chosen: float  # of what was kept
    signal: float  # mean square of the target itself
    training: tuple[float, ...]
    checks: tuple[tuple[int, float], ...]  # (steps done, held-out loss)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedBlock:
    """What is left of a block: its codes, and how they were found.

    Attributes:
        weights: Name to codes, on the CPU.
        losses: None when nothing was measured (round-to-nearest without samples).
        chosen_iteration: Steps after which the kept candidate was taken; 0 is round-to-nearest.
        fallback: Why round-to-nearest was kept although more was asked for, or None.
    """

    weights: Mapping[str, QuantizedWeight]
    losses: Losses | None
    chosen_iteration: int
    fallback: str | None


Progress = Callable[[int, float], None]


def nearest_block(weights: Mapping[str, Tensor], grid: IntGrid) -> QuantizedBlock:
    """Quantize a block's weights by round-to-nearest, without a single sample.

    Raises:
        GroupSizeError: The group size does not divide a Linear's input features.
        NonFiniteWeightError: A weight holds NaN or inf.
    """
    return QuantizedBlock(
        weights=_to_cpu(_nearest(weights, grid)), losses=None, chosen_iteration=0, fallback=None
    )


def learn_block(
    block: Block,
    inputs: Chain,
    targets: Chain,
    grid: IntGrid,
    how: SignRound,
    *,
    progress: Progress = lambda _iteration, _loss: None,
) -> QuantizedBlock:
    """Learn the rounding of a block from what goes in (quantized chain) and should come out.

    Args:
        block: The 16-bit block.
        inputs: What the blocks before it give once quantized.
        targets: What the 16-bit block gives on the 16-bit chain.
        grid: What the weights are snapped to.
        how: How long and how fast.
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
    rounded = _nearest(block.weights, grid)  # first: a broken weight is said by its name
    if (sample := targets.first_not_finite()) is not None:
        raise NonFiniteBlockError(block=block.index, sample=sample, dtype=str(block.dtype))
    training, held = seeds.holdout(len(inputs), how.holdout, how.seed, "split")
    judge = _Judge(block, inputs, targets, held, how.batch_size)
    nearest = judge.candidate(0, rounded)
    steps = _descend(block, inputs, targets, training, grid, how)
    best, curve, checks = _choose(nearest, steps, judge, progress)
    return QuantizedBlock(
        weights=_to_cpu(best.weights),
        losses=Losses(nearest.loss, best.loss, judge.signal(), tuple(curve), tuple(checks)),
        chosen_iteration=best.iteration,
        fallback=_why_nearest(best, curve, how),
    )


def advance(block: Block, chain: Chain, weights: Mapping[str, QuantizedWeight], size: int) -> None:
    """Carry a chain through a block, in place; no ``weights`` means the 16-bit block."""
    exchanged = {
        name: dequantize(weight.to(block.device), block.dtype) for name, weight in weights.items()
    }
    with torch.no_grad():
        for samples in chain.batches(size):
            batch = chain.batch(samples, block.device, block.dtype)
            out_BTH = block.forward(exchanged, batch)
            for row, sample in enumerate(samples):
                chain.put(sample, out_BTH[row, : chain.lengths[sample]])


class _Candidate(NamedTuple):
    iteration: int
    weights: Mapping[str, QuantizedWeight]
    loss: float


@dataclass(frozen=True, slots=True)
class _Judge:
    """Scores candidates on the held-out samples: same inputs, same batches for all."""

    block: Block
    inputs: Chain
    targets: Chain
    held: Sequence[int]
    size: int

    def candidate(self, iteration: int, weights: Mapping[str, QuantizedWeight]) -> _Candidate:
        """Return these codes with the mean squared error of the block that uses them."""
        exchanged = {name: dequantize(w, self.block.dtype) for name, w in weights.items()}
        with torch.no_grad():
            pairs = [
                batch.squared_error(self.block.forward(exchanged, batch), target)
                for batch, target in self._pairs()
            ]
        return _Candidate(iteration, weights, _mean(pairs))

    def signal(self) -> float:
        """Return the mean square of the targets."""
        return _mean([batch.squared_error(0 * target, target) for batch, target in self._pairs()])

    def _pairs(self) -> Iterator[tuple[Batch, Tensor]]:
        for first in range(0, len(self.held), self.size):
            samples = self.held[first : first + self.size]
            yield (
                self.inputs.batch(samples, self.block.device, self.block.dtype),
                self.targets.batch(samples, self.block.device, self.block.dtype).hidden_BTH,
            )


Steps = Iterator[tuple[int, float, Mapping[str, QuantizedWeight] | None]]


def _choose(
    nearest: _Candidate, steps: Steps, judge: _Judge, progress: Progress
) -> tuple[_Candidate, list[float], list[tuple[int, float]]]:
    """Follow the descent; return (best candidate, training losses, held-out losses by step)."""
    best, curve, checks = nearest, list[float](), [(nearest.iteration, nearest.loss)]
    for done, loss, taken in steps:
        curve.append(loss)
        progress(done, loss)
        if taken is not None:
            candidate = judge.candidate(done, taken)
            checks.append((done, candidate.loss))
            best = _better(best, candidate)
    return best, curve, checks


def _better(best: _Candidate, candidate: _Candidate) -> _Candidate:
    """Return the one with less error; one that is not finite never wins."""
    if not math.isfinite(candidate.loss):
        return best
    beats = candidate.loss < best.loss or not math.isfinite(best.loss)
    return candidate if beats else best


def _descend(
    block: Block,
    inputs: Chain,
    targets: Chain,
    training: Sequence[int],
    grid: IntGrid,
    how: SignRound,
) -> Steps:
    """Yield (steps done, training loss, candidate when one is due) for each step of sign descent.

    Ends early, without a candidate, when a loss is not finite.
    """
    weights = {name: signround.grouped(name, w, grid) for name, w in block.weights.items()}
    roundings = {name: signround.start(weight) for name, weight in weights.items()}
    due = how.check_points()
    for iteration in range(how.iters):
        picks = seeds.minibatch(
            iteration, count=len(training), size=how.batch_size, key=(how.seed, block.index)
        )
        samples = [training[pick] for pick in picks]
        batch = inputs.batch(samples, block.device, block.dtype)
        target = targets.batch(samples, block.device, block.dtype).hidden_BTH
        loss = _learn_step(block, weights, roundings, grid, (batch, target))
        if not math.isfinite(loss):
            yield iteration + 1, loss, None
            return
        signround.sign_step(roundings, how.rate(iteration, grid.bits))
        taken = _snapshot(weights, roundings, grid) if iteration + 1 in due else None
        yield iteration + 1, loss, taken


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


def _mean(pairs: Sequence[tuple[Tensor, int]]) -> float:
    return sum(float(total) for total, _ in pairs) / sum(count for _, count in pairs)


def _nearest(weights: Mapping[str, Tensor], grid: IntGrid) -> dict[str, QuantizedWeight]:
    return {name: signround.round_to_nearest(name, w, grid) for name, w in weights.items()}


def _snapshot(
    weights: Mapping[str, GroupedWeight], roundings: Mapping[str, Rounding], grid: IntGrid
) -> dict[str, QuantizedWeight]:
    return {name: signround.quantize(w, roundings[name], grid) for name, w in weights.items()}


def _why_nearest(best: _Candidate, curve: Sequence[float], how: SignRound) -> str | None:
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


def _to_cpu(weights: Mapping[str, QuantizedWeight]) -> dict[str, QuantizedWeight]:
    return {name: weight.to(torch.device("cpu")) for name, weight in weights.items()}
