"""Run several versions of one model over the same samples, block by block and side by side.

The 16-bit model leads: its block is loaded once, it carries its own chain, and it is what
round-to-nearest is made of on the spot.  Memory holds one block a version, whatever their size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from infra.calibration.sample import Sample
from infra.models.qwen2_vl import Head
from quantcore.activations import Budget, Chain, duplicate
from quantcore.block import Block, advance, nearest_block
from quantcore.grid import IntGrid
from quantcore.metrics import TokenFidelity, by_token, sqnr_db
from tasks.engine import OpenModel
from tasks.streaming import BATCH


class Reading(NamedTuple):
    """A sample, and the tokens whose prediction counts."""

    sample: Sample
    first: int  # the first token, from 1, that is to be foretold; all behind it count too


class Entrant(Protocol):
    """A version of the model that is compared with the 16-bit one."""

    def enter(self, samples: Sequence[Sample], full: Chain, *, name: str, budget: Budget) -> Chain:
        """Return the states of all samples before block 0; those of the 16-bit model are given."""

    def through(self, block: Block, chain: Chain) -> None:
        """Carry the states through this version of a block of the 16-bit model."""

    def head(self) -> Head:
        """Load what makes logits of states."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint, all of it read from its own files."""

    model: OpenModel

    def enter(self, samples: Sequence[Sample], _full: Chain, *, name: str, budget: Budget) -> Chain:
        """Run the samples through the checkpoint's own front."""
        return self.model.chain(samples, name=name, budget=budget)

    def through(self, block: Block, chain: Chain) -> None:
        """Advance by the checkpoint's own block."""
        advance(self.model.block(block.index), chain, {}, BATCH)

    def head(self) -> Head:
        """Load the checkpoint's own head."""
        return self.model.family.head(self.model.tensors, self.model.place)


@dataclass(frozen=True, slots=True)
class Nearest:
    """The 16-bit model with its blocks rounded to nearest: what learning has to beat."""

    source: OpenModel
    grid: IntGrid

    def enter(self, _samples: Sequence[Sample], full: Chain, *, name: str, budget: Budget) -> Chain:
        """Copy: the front stays as it is."""
        return duplicate(full, name=name, budget=budget)

    def through(self, block: Block, chain: Chain) -> None:
        """Round the block, and advance by that."""
        advance(block, chain, nearest_block(block.weights, self.grid).weights, BATCH)

    def head(self) -> Head:
        """Load the 16-bit head."""
        return self.source.family.head(self.source.tensors, self.source.place)


class Outcome(NamedTuple):
    """What became of one entrant."""

    samples: tuple[TokenFidelity, ...]  # in the order of the readings
    sqnr_db: tuple[float, ...]  # at the output of each block


def compete(
    source: OpenModel, entrants: Mapping[str, Entrant], readings: Sequence[Reading], budget: Budget
) -> Iterator[tuple[str, Outcome]]:
    """Run all entrants, and compare the logits of each with those of the 16-bit model.

    Args:
        source: The 16-bit model.
        entrants: Versions of it, by name.
        readings: What is run, and which predictions count.
        budget: What each chain may take.
    """
    samples = [reading.sample for reading in readings]
    full = source.chain(samples, name="full", budget=budget)
    chains = {
        name: entrant.enter(samples, full, name=f"entrant-{number}", budget=budget)
        for number, (name, entrant) in enumerate(entrants.items())
    }
    noise: dict[str, list[float]] = {name: [] for name in entrants}
    for index in range(source.family.blocks):
        block = source.block(index)
        advance(block, full, {}, BATCH)
        for name, entrant in entrants.items():
            entrant.through(block, chains[name])
            noise[name].append(_sqnr_db(full, chains[name]))
    judge = source.family.head(source.tensors, source.place)
    for name, entrant in entrants.items():
        head = entrant.head()
        compared = tuple(
            _compared(reading, judge(_counted(full, n, reading)), head, chains[name], n)
            for n, reading in enumerate(readings)
        )
        yield name, Outcome(compared, tuple(noise[name]))


def _compared(
    reading: Reading, expected_TV: Tensor, head: Head, chain: Chain, number: int
) -> TokenFidelity:
    following = reading.sample.input_ids[reading.first :].to(expected_TV.device)
    return by_token(expected_TV, head(_counted(chain, number, reading)), following)


def _counted(chain: Chain, number: int, reading: Reading) -> Tensor:
    """Return the states that predictions which count are made from."""
    return chain.get(number)[reading.first - 1 : -1]


def _sqnr_db(full: Chain, other: Chain) -> float:
    """Return the signal-to-noise ratio of a chain's states, over all samples."""
    signal, noise = 0.0, 0.0
    for number in range(len(full)):
        wanted, found = full.get(number).float(), other.get(number).float()
        signal += float(torch.sum(wanted.square(), dtype=torch.float64))
        noise += float(torch.sum((found - wanted).square(), dtype=torch.float64))
    return sqnr_db(signal, noise)
