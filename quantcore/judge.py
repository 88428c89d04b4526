"""Judge candidates honestly: on held-out samples, the same for all, as they would be published."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from quantcore.activations import Batch, Chain
from quantcore.block import Block
from quantcore.grid import QuantizedWeight, dequantize
from quantcore.loading import loaded


class Candidate(NamedTuple):
    """Codes that may be kept, and what they cost."""

    iteration: int
    weights: Mapping[str, QuantizedWeight]
    loss: float


@dataclass(frozen=True, slots=True)
class Judge:
    """Scores candidates on the held-out samples: same inputs, same batches for all."""

    block: Block
    inputs: Chain
    targets: Chain
    held: Sequence[int]
    size: int

    def candidate(self, iteration: int, weights: Mapping[str, QuantizedWeight]) -> Candidate:
        """Return these codes with the mean squared error of the block that uses them."""
        exchanged = {name: dequantize(w, self.block.dtype) for name, w in weights.items()}
        with torch.no_grad():
            pairs = [
                batch.squared_error(self.block.forward(exchanged, batch), target)
                for batch, target in self._pairs()
            ]
        return Candidate(iteration, weights, _mean(pairs))

    def signal(self) -> float:
        """Return the mean square of the targets."""
        return _mean([batch.squared_error(0 * target, target) for batch, target in self._pairs()])

    def _pairs(self) -> Iterator[tuple[Batch, Tensor]]:
        firsts = range(0, len(self.held), self.size)
        groups = [self.held[first : first + self.size] for first in firsts]
        pairs = loaded((self.inputs, self.targets), groups, self.block.device, self.block.dtype)
        return ((batch, target.hidden_BTH) for batch, target in pairs)


def better(best: Candidate, candidate: Candidate) -> Candidate:
    """Return the one with less error; one that is not finite never wins."""
    if not math.isfinite(candidate.loss):
        return best
    beats = candidate.loss < best.loss or not math.isfinite(best.loss)
    return candidate if beats else best


def _mean(pairs: Sequence[tuple[Tensor, int]]) -> float:
    return sum(float(total) for total, _ in pairs) / sum(count for _, count in pairs)
