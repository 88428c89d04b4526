"""Batches are what a chain holds, and the next one is made while the last is used."""

import threading
from collections.abc import Iterator

import pytest
import torch

from quantcore.activations import Chain
from quantcore.loading import loaded, one_ahead

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    ),
]
GROUPS = [[0, 1], [2, 3], [3, 1]]


def chain(offset: float) -> Chain:
    """Return a chain of four samples of unequal length."""
    lengths = (3, 5, 2, 5)
    states = torch.arange(15 * 4, dtype=torch.float32).view(15, 4) + offset
    return Chain(lengths, states, [{"cos": torch.full((length, 2), 0.5)} for length in lengths])


@pytest.mark.parametrize("device", DEVICES)
def test_each_group_comes_from_each_chain_in_order(device: str) -> None:
    """Bit for bit what is gathered one at a time."""
    chains, where = (chain(0.0), chain(100.0)), torch.device(device)

    found = list(loaded(chains, GROUPS, where, torch.float32))

    assert len(found) == len(GROUPS)
    for group, batches in zip(GROUPS, found, strict=True):
        for source, batch in zip(chains, batches, strict=True):
            wanted = source.batch(group, torch.device("cpu"), torch.float32).tensors()
            assert [tensor.device.type for tensor in batch.tensors()] == [device] * 3
            for tensor, want in zip(batch.tensors(), wanted, strict=True):
                assert torch.equal(tensor.cpu(), want)


@pytest.mark.parametrize("device", DEVICES)
def test_what_a_group_has_read_may_be_written(device: str) -> None:
    """A chain that is carried through a block is overwritten sample by sample."""
    source, groups = chain(0.0), [[0, 1], [2, 3]]
    before = [source.get(sample).clone() for sample in range(4)]
    pairs = zip(groups, loaded((source,), groups, torch.device(device), torch.float32), strict=True)
    for samples, (batch,) in pairs:
        for row, sample in enumerate(samples):
            source.put(sample, 2 * batch.hidden_BTH[row, : source.lengths[sample]])

    for sample in range(4):
        assert torch.equal(source.get(sample), 2 * before[sample])


def test_the_next_one_is_made_while_the_last_is_used() -> None:
    """And no other: whatever is made takes room."""
    made: list[int] = []
    second = threading.Event()

    def make(item: int) -> int:
        made.append(item)
        if item == 1:
            second.set()
        return item

    found = one_ahead(make, range(4))

    assert next(found) == 0
    assert second.wait(10.0)
    assert made == [0, 1]
    assert list(found) == [1, 2, 3]


def test_what_cannot_be_made_is_told_in_its_turn() -> None:
    """With what was made before it, as if nothing had been made ahead."""

    def make(item: int) -> int:
        if item == 2:
            raise MemoryError
        return item

    found = one_ahead(make, range(4))

    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(MemoryError):
        next(found)


def test_whoever_stops_early_leaves_no_thread() -> None:
    """A block that is not finite any more ends before its steps do."""
    before = threading.active_count()
    found = one_ahead(str, range(100))
    next(found)
    found.close()  # type: ignore[attr-defined] # it is a generator

    assert threading.active_count() == before


def test_nothing_comes_of_nothing() -> None:
    """No group, no batch."""
    nothing: Iterator[int] = one_ahead(abs, [])

    assert list(nothing) == []
