"""A decoder block as the engine sees it, how a chain goes through it, and what is left of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from quantcore import signround
from quantcore.activations import Batch, Chain
from quantcore.grid import IntGrid, QuantizedWeight, dequantize
from quantcore.loading import loaded


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
    found: float | None = None  # of the rounding that learning began from, if not nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedBlock:
    """What is left of a block: its codes, and how they were found.

    Attributes:
        weights: Name to codes, on the CPU.
        losses: None when nothing was measured (round-to-nearest without samples).
        chosen_iteration: Steps after which the kept candidate was taken; 0 is what learning began
            from, which is round-to-nearest or a rounding that was found before.
        fallback: Why round-to-nearest was kept although more was asked for, or None.
    """

    weights: Mapping[str, QuantizedWeight]
    losses: Losses | None
    chosen_iteration: int
    fallback: str | None


def nearest_block(weights: Mapping[str, Tensor], grid: IntGrid) -> QuantizedBlock:
    """Quantize a block's weights by round-to-nearest, without a single sample.

    Raises:
        GroupSizeError: The group size does not divide a Linear's input features.
        NonFiniteWeightError: A weight holds NaN or inf.
    """
    return QuantizedBlock(
        weights=to_cpu(nearest_weights(weights, grid)),
        losses=None,
        chosen_iteration=0,
        fallback=None,
    )


def advance(block: Block, chain: Chain, weights: Mapping[str, QuantizedWeight], size: int) -> None:
    """Carry a chain through a block, in place; no ``weights`` means the 16-bit block."""
    exchanged = {
        name: dequantize(weight.to(block.device), block.dtype) for name, weight in weights.items()
    }
    with torch.no_grad():
        groups = chain.batches(size)
        pairs = zip(groups, loaded((chain,), groups, block.device, block.dtype), strict=True)
        for samples, (batch,) in pairs:
            out_BTH = block.forward(exchanged, batch)
            for row, sample in enumerate(samples):
                chain.put(sample, out_BTH[row, : chain.lengths[sample]])


def nearest_weights(weights: Mapping[str, Tensor], grid: IntGrid) -> dict[str, QuantizedWeight]:
    """Round weights to nearest, where they are.

    Raises:
        GroupSizeError: The group size does not divide a Linear's input features.
        NonFiniteWeightError: A weight holds NaN or inf.
        WeightRangeError: A scale would not fit float16.
    """
    return {name: signround.round_to_nearest(name, w, grid) for name, w in weights.items()}


def to_cpu(weights: Mapping[str, QuantizedWeight]) -> dict[str, QuantizedWeight]:
    """Return codes on the CPU."""
    return {name: weight.to(torch.device("cpu")) for name, weight in weights.items()}
