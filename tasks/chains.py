"""The hidden states in front of a block: run there from the first token, or read from a file.

A file of states holds what a chain needs to go on, the rotary embeddings too.  Whoever starts from
it loads neither embeddings nor vision tower.  At the reference size that is a fourteenth more than
the states alone, and next to nothing for texts of one length, which share theirs.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from infra.calibration.sample import load as load_samples
from infra.checkpoints.tensorfile import save_tensors
from infra.models.shards import FolderReader, TensorPlace, fill, read_header
from infra.store import Store
from quantcore.activations import Budget, Chain, room
from quantcore.block import advance
from tasks.engine import OpenModel
from tasks.specs import CalibrationRef

STATES, LENGTHS = "states", "lengths"
SIDE_OF, SIDE_LENGTHS = "side_of_sample", "side_lengths"
SIDE = "side."


def front_chain(
    store: Store, model: OpenModel, calibration: CalibrationRef, *, name: str, budget: Budget
) -> Chain:
    """Return the calibration samples in front of block 0.

    Raises:
        InfraError: The samples or the front of the model cannot be read.
        ScratchSpaceError: The disk has no room for the states.
    """
    samples = load_samples(store.open(calibration.ref)).samples
    return model.chain(samples, name=name, budget=budget)


def run_to(model: OpenModel, chain: Chain, blocks: range, size: int) -> None:
    """Carry a chain through 16-bit blocks, in place."""
    for block in blocks:
        advance(model.block(block), chain, {}, size)


def write_states(path: Path, chain: Chain) -> None:
    """Write a chain to a new file, without a second copy of it in memory.

    Raises:
        StorageError: The file cannot be written.
    """
    tensors = {
        STATES: chain.states,
        LENGTHS: torch.tensor(chain.lengths),
        **_joined_sides(chain),
    }
    save_tensors(path, tensors)


def read_states(path: Path, *, name: str, budget: Budget) -> Chain:
    """Read a chain back, into memory or a file of the scratch folder.

    Raises:
        InfraError: The file cannot be read, or is no file of states.
        ScratchSpaceError: The disk has no room for the states.
    """
    reader = FolderReader(path.parent)
    places = read_header(reader, path.name)
    small = {key: _read(reader, place) for key, place in places.items() if key != STATES}
    place = places[STATES]
    rows, hidden = place.shape
    states = room(rows, hidden, place.dtype, name=name, budget=budget)
    _fill(reader, place, states)
    return Chain(small[LENGTHS].tolist(), states, _split_sides(small))


def _joined_sides(chain: Chain) -> dict[str, Tensor]:
    """Join the sides of all samples, each that several share once."""
    distinct = list({id(side): side for side in chain.sides}.values())
    number = {id(side): index for index, side in enumerate(distinct)}
    names = distinct[0].keys()
    return {
        SIDE_OF: torch.tensor([number[id(side)] for side in chain.sides]),
        SIDE_LENGTHS: torch.tensor([len(next(iter(side.values()))) for side in distinct]),
        **{SIDE + name: torch.cat([side[name] for side in distinct]) for name in names},
    }


def _split_sides(tensors: Mapping[str, Tensor]) -> list[Mapping[str, Tensor]]:
    """Undo `_joined_sides`."""
    lengths = tensors[SIDE_LENGTHS].tolist()
    parts = {
        name.removeprefix(SIDE): torch.split(tensor, lengths)
        for name, tensor in tensors.items()
        if name.startswith(SIDE)
    }
    distinct = [
        {name: split[index] for name, split in parts.items()} for index in range(len(lengths))
    ]
    return [distinct[index] for index in tensors[SIDE_OF].tolist()]


def _read(reader: FolderReader, place: TensorPlace) -> Tensor:
    tensor = torch.empty(place.shape, dtype=place.dtype)
    _fill(reader, place, tensor)
    return tensor


def _fill(reader: FolderReader, place: TensorPlace, tensor: Tensor) -> None:
    """Read a tensor's bytes to where it lies."""
    fill(reader, place.file, place.start, tensor.view(-1).view(torch.uint8).numpy().data)
