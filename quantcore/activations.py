"""Where the activations of one chain live: memory, or a memory-mapped file when they are too big.

At the reference size (512 samples of 2048 tokens, hidden size 3584, bf16) a chain is 7.5 GB, and a
run holds two: the 16-bit chain, whose outputs are targets, and the quantized chain, whose states
are inputs.  A chain is overwritten in place, block after block, so it never grows.

Samples keep their own length: nothing is padded until a batch is made, so every sample keeps its
own rotary embeddings and its own mask.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from quantcore.errors import ScratchSpaceError


class Batch(NamedTuple):
    """Samples of one step, padded on the right to the longest.

    Under causal attention no token looks to its right, so padding there changes no valid token;
    ``valid_BT`` keeps it out of every loss.
    """

    hidden_BTH: Tensor
    side: Mapping[str, Tensor]  # each [B, T, …]: rotary cosines and sines, say
    valid_BT: Tensor  # bool

    def squared_error(self, out_BTH: Tensor, target_BTH: Tensor) -> tuple[Tensor, int]:
        """Return (sum of squared errors over valid tokens, number of values summed).

        Padding is left out by choice, not by a factor of zero: 0 * inf is not 0.  Each token is
        summed in float32 and the tokens in float64, one dimension at a time: torch cuts a sum over
        everything into a piece a thread, and the last bits would tell how many there were.
        """
        error_BTH = out_BTH.float() - target_BTH.float()
        error_BTH = torch.where(self.valid_BT[..., None], error_BTH, 0.0)
        total = error_BTH.square().sum(-1).double().sum(-1).sum()
        return total, int(self.valid_BT.sum()) * out_BTH.shape[-1]

    def tensors(self) -> tuple[Tensor, ...]:
        """Return all that it is made of."""
        return (self.hidden_BTH, *self.side.values(), self.valid_BT)


class Chain:
    """The hidden states of all samples at one place of the model, overwritten block by block.

    Invariants: sample i has ``lengths[i]`` rows of ``states``, right after those of sample i - 1;
    each tensor of ``sides[i]`` has as many.
    """

    def __init__(
        self, lengths: Sequence[int], states: Tensor, sides: Sequence[Mapping[str, Tensor]]
    ) -> None:
        self.lengths = tuple(lengths)
        self.states = states
        self.sides = tuple(sides)
        self._spans = tuple(pairwise(accumulate(self.lengths, initial=0)))

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._spans)

    def get(self, sample: int) -> Tensor:
        """Return the states of one sample, ``[T, H]``; a view, not a copy."""
        first, end = self._spans[sample]
        return self.states[first:end]

    def put(self, sample: int, states_TH: Tensor) -> None:
        """Overwrite the states of one sample."""
        self.get(sample).copy_(states_TH)

    def first_not_finite(self) -> int | None:
        """Return the first sample whose states hold NaN or inf, None when there is none."""
        for sample in range(len(self)):
            if not torch.isfinite(torch.stack(self.get(sample).aminmax())).all():
                return sample
        return None

    def batch(self, samples: Sequence[int], device: torch.device, dtype: torch.dtype) -> Batch:
        """Gather samples into one padded batch on ``device`` in ``dtype``."""
        hidden = [self.get(sample) for sample in samples]
        valid = [torch.ones(states.shape[0], dtype=torch.bool) for states in hidden]
        sides = {
            name: [self.sides[sample][name] for sample in samples]
            for name in self.sides[samples[0]]
        }
        return Batch(
            _padded(hidden, device).to(device, dtype, non_blocking=True),
            {
                name: _padded(rows, device).to(device, dtype, non_blocking=True)
                for name, rows in sides.items()
            },
            _padded(valid, device).to(device, non_blocking=True),
        )

    def batches(self, size: int) -> list[list[int]]:
        """Cut all samples into batches of near length, the same way every time."""
        order = sorted(range(len(self)), key=lambda sample: (self.lengths[sample], sample))
        return [order[first : first + size] for first in range(0, len(order), size)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much memory a chain may take, and where it goes when it needs more.

    Attributes:
        bytes: Largest chain that is kept in memory.
        scratch: Folder of the memory-mapped files.  Each loses its name as soon as it is mapped,
            so that its space is free again when the process ends, however it ends.
    """

    bytes: int
    scratch: Path


def room(rows: int, hidden: int, dtype: torch.dtype, *, name: str, budget: Budget) -> Tensor:
    """Return an uninitialised ``[rows, hidden]``, in memory or in a file of the scratch folder.

    Raises:
        ScratchSpaceError: The file cannot be made, or the disk has no room for it.
    """
    size = rows * hidden * dtype.itemsize
    if size <= budget.bytes:
        return torch.empty(rows, hidden, dtype=dtype)
    path = budget.scratch / f"{name}.activations"
    _reserve(path, size)
    flat = torch.from_file(str(path), shared=True, size=rows * hidden, dtype=dtype)
    path.unlink()
    return flat.view(rows, hidden)


def _reserve(path: Path, size: int) -> None:
    """Make a file whose space is really there.

    A sparse file would do until the disk is full: then a write into the mapping kills the process.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ScratchSpaceError(path=str(path), size=size, reason=reason) from error


def duplicate(chain: Chain, *, name: str, budget: Budget) -> Chain:
    """Return a chain with the same samples and states, in room of its own.

    Raises:
        ScratchSpaceError: The file cannot be made, or the disk has no room for it.
    """
    rows, hidden = chain.states.shape
    states = room(rows, hidden, chain.states.dtype, name=name, budget=budget)
    return Chain(chain.lengths, states.copy_(chain.states), chain.sides)


def _padded(rows: Sequence[Tensor], device: torch.device) -> Tensor:
    """Stack tensors ``[T, …]`` of any length into ``[B, longest, …]``, zeros on the right.

    On its way to a GPU it is in memory that this copies from by itself.
    """
    shape = (len(rows), max(len(row) for row in rows), *rows[0].shape[1:])
    stacked = torch.empty(shape, dtype=rows[0].dtype, pin_memory=device.type == "cuda")
    for row, room in zip(rows, stacked, strict=True):
        room[: len(row)] = row
        room[len(row) :] = 0
    return stacked
