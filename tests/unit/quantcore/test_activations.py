"""Chains hold the same numbers wherever they live, and never mix samples."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from quantcore.activations import Batch, Budget, Chain, _reserve, duplicate, room
from quantcore.block import advance
from quantcore.errors import ScratchSpaceError
from tests.support import blocks

LENGTHS = [5, 9, 2, 9, 1]


def states(hidden: int = 8) -> list[Tensor]:
    """Return samples of different length in which every number is another one."""
    flat = torch.arange(sum(LENGTHS) * hidden, dtype=torch.float32).view(-1, hidden)
    return list(flat.split(LENGTHS))


def in_file(folder: Path) -> Budget:
    """Return a budget that nothing fits."""
    return Budget(bytes=0, scratch=folder)


def test_samples_keep_their_length_and_states() -> None:
    """What was put is what is got, and a neighbour is not touched."""
    chain = blocks.chain(states())
    chain.put(3, torch.full((9, 8), -1.0))

    assert len(chain) == 5
    assert chain.lengths == tuple(LENGTHS)
    for sample, expected in enumerate(states()):
        wanted = torch.full((9, 8), -1.0) if sample == 3 else expected
        assert torch.equal(wanted, chain.get(sample))


def test_a_sample_of_another_length_is_refused() -> None:
    """Samples cannot grow or shrink on their way through the model."""
    chain = blocks.chain(states())

    with pytest.raises(RuntimeError, match="size"):
        chain.put(0, torch.zeros(6, 8))


def test_batches_pad_on_the_right_and_say_where() -> None:
    """Valid tokens come first, zeros after them; side tensors are padded alike, per sample."""
    sides = [{"cos": torch.full((length, 3), float(length))} for length in LENGTHS]
    chain = blocks.chain(states(), sides)

    batch = chain.batch([0, 2], torch.device("cpu"), torch.float32)

    assert batch.hidden_BTH.shape == (2, 5, 8)
    assert batch.valid_BT.tolist() == [[True] * 5, [True] * 2 + [False] * 3]
    assert torch.equal(states()[2], batch.hidden_BTH[1, :2])
    assert batch.hidden_BTH[1, 2:].unique().tolist() == [0.0]
    assert batch.side["cos"][:, :, 0].tolist() == [[5.0] * 5, [2.0, 2.0, 0.0, 0.0, 0.0]]


def test_a_batch_comes_in_the_compute_dtype() -> None:
    """Stored in bf16, computed in fp32: values do not change on the way up."""
    chain = blocks.chain(states(), dtype=torch.bfloat16)

    batch = chain.batch([1, 4], torch.device("cpu"), torch.float32)

    assert batch.hidden_BTH.dtype == torch.float32
    assert torch.equal(states()[1].bfloat16().float(), batch.hidden_BTH[0])


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_batches_hold_every_sample_once(size: int) -> None:
    """Near lengths go together, ties in order, the same way every time."""
    chain = blocks.chain(states())

    batches = chain.batches(size)

    order = [sample for batch in batches for sample in batch]
    assert order == [4, 2, 0, 1, 3]
    assert all(len(batch) == size for batch in batches[:-1])
    assert batches == chain.batches(size)


def test_a_chain_is_the_same_in_memory_and_in_a_file(tmp_path: Path) -> None:
    """Where activations live changes no bit of what the blocks after make of them."""
    block, _ = blocks.decoder()
    texts, sides = blocks.texts([7, 12, 3, 12])
    chains = [
        blocks.chain(texts, sides, budget=budget)
        for budget in (blocks.IN_MEMORY, in_file(tmp_path))
    ]

    for chain in chains:
        advance(block, chain, {}, 2)

    assert torch.equal(chains[0].states, chains[1].states)
    assert [mapped_bytes(chain.states, tmp_path) > 0 for chain in chains] == [False, True]


def test_the_budget_decides_to_the_byte(tmp_path: Path) -> None:
    """A chain of exactly the budget stays in memory; one byte less sends it to a file."""
    size = 25 * 8 * 2
    for budget, in_a_file in ((size, False), (size - 1, True)):
        made = room(25, 8, torch.bfloat16, name="x", budget=Budget(bytes=budget, scratch=tmp_path))

        assert tuple(made.shape) == (25, 8)
        assert (mapped_bytes(made, tmp_path) > 0) == in_a_file


def test_a_scratch_file_is_really_there(tmp_path: Path) -> None:
    """Its blocks are reserved at once: a disk that fills up later cannot kill the process."""
    path = tmp_path / "new" / "folder" / "big.activations"
    _reserve(path, 4 << 20)

    assert path.stat().st_blocks * 512 >= 4 << 20


def mapped_bytes(tensor: torch.Tensor, folder: Path) -> int:
    """Return how much of a file below ``folder`` is mapped where ``tensor`` lies, 0 if none is."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, _, rest = line.partition("-")
        end = rest.split()[0]
        if int(first, 16) <= tensor.data_ptr() < int(end, 16) and str(folder) in line:
            return int(end, 16) - int(first, 16)
    return 0


@pytest.fixture
def one_megabyte_disk() -> Iterator[None]:
    """Refuse files above 1 MiB, as a disk does that has no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("one_megabyte_disk")
def test_a_disk_without_room_is_a_clear_error(tmp_path: Path) -> None:
    """The message names the file, its size, the system's reason and both remedies."""
    with pytest.raises(ScratchSpaceError, match=r"big\.activations cannot hold 0\.12 GiB .*large"):
        room(1 << 22, 8, torch.float32, name="big", budget=in_file(tmp_path))


def test_a_scratch_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """A file in the way is the same error as a full disk, with the system's own reason."""
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(ScratchSpaceError, match=r"cannot hold .* of activations: .*Free"):
        room(4, 4, torch.float32, name="x", budget=in_file(tmp_path / "taken"))


def test_nothing_is_left_of_a_scratch_file_whatever_ends_the_process(tmp_path: Path) -> None:
    """The file loses its name once it is mapped, and the mapping keeps working."""
    chain = blocks.chain(states(), budget=in_file(tmp_path))

    chain.put(0, torch.ones(5, 8))

    assert list(tmp_path.iterdir()) == []

    assert torch.equal(torch.ones(5, 8), chain.get(0))
    assert torch.equal(states()[1], chain.get(1))


def test_a_scratch_file_of_before_does_not_leak_in(tmp_path: Path) -> None:
    """A longer file of an earlier run is replaced, not reused."""
    (tmp_path / "x.activations").write_bytes(b"\xff" * 4096)

    made = room(4, 4, torch.float32, name="x", budget=in_file(tmp_path))

    assert made.unique().tolist() == [0.0]
    assert list(tmp_path.iterdir()) == []


def test_a_duplicate_goes_its_own_way(tmp_path: Path) -> None:
    """Two chains start from the same states and then share nothing but the side tensors."""
    full = blocks.chain(states())
    copies = [
        duplicate(full, name="quantized", budget=budget)
        for budget in (blocks.IN_MEMORY, in_file(tmp_path))
    ]

    full.put(1, torch.zeros(9, 8))

    for copy in copies:
        assert torch.equal(torch.cat(states()), copy.states)
        assert copy.lengths == full.lengths


def test_the_first_broken_sample_is_found() -> None:
    """NaN and both infinities count, wherever they stand."""
    for bad in (float("nan"), float("inf"), float("-inf")):
        chain = blocks.chain(states())
        assert chain.first_not_finite() is None

        chain.get(3)[8, 7] = chain.get(4)[0, 0] = bad

        assert chain.first_not_finite() == 3


def test_padding_has_no_part_in_an_error() -> None:
    """The sum and the count are those of the valid tokens, even if padding came out as NaN."""
    valid_BT = torch.tensor([[True, True, True], [True, False, False]])
    batch = Batch(torch.zeros(2, 3, 4), {}, valid_BT)
    out_BTH, target_BTH = torch.full((2, 3, 4), 3.0), torch.ones(2, 3, 4)
    out_BTH[1, 1:] = float("nan")
    target_BTH[1, 1:] = float("inf")

    total, count = batch.squared_error(out_BTH, target_BTH)

    assert (float(total), count) == (4 * 4 * 4.0, 16)


def test_an_error_in_bf16_is_summed_in_more() -> None:
    """A million small errors add up, which bf16 alone would stop doing at 256."""
    batch = Batch(torch.zeros(1, 1024, 1024), {}, torch.ones(1, 1024, dtype=torch.bool))

    total, count = batch.squared_error(
        torch.ones(1, 1024, 1024, dtype=torch.bfloat16), batch.hidden_BTH.bfloat16()
    )

    assert (float(total), count) == (1024.0 * 1024, 1024 * 1024)


def test_a_chain_without_samples_is_empty() -> None:
    """No samples, no batches, nothing broken."""
    chain = Chain([], torch.empty(0, 8), [])

    assert len(chain) == 0
    assert chain.batches(4) == []
    assert chain.first_not_finite() is None
