"""One recipe, one result: run again, run in another order, run on more threads."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from quantcore.block import QuantizedBlock, advance
from quantcore.grid import IntGrid
from quantcore.learning import learn_block
from quantcore.signround import SignRound
from tests.support import blocks

ROOT = Path(__file__).parents[3]
GRID = IntGrid(group_size=32)
HOW = SignRound(iters=8, batch_size=4, lr=0.04)
LENGTHS = [16, 9, 16, 3, 12, 16, 1, 14]


def learn(index: int = 3, how: SignRound = HOW) -> QuantizedBlock:
    """Learn one small decoder block from scratch."""
    block, _ = blocks.decoder(index=index, seed=index)
    return learn_block(block, *blocks.lesson(block, *blocks.texts(LENGTHS)), GRID, how)


def test_the_same_recipe_gives_the_same_bytes() -> None:
    """Codes, scales, zero points and every loss are equal to the last bit."""
    one, two = learn(), learn()

    assert blocks.digest(one.weights) == blocks.digest(two.weights)
    assert one.losses == two.losses
    assert one.chosen_iteration == two.chosen_iteration > 0


def test_nothing_that_ran_before_matters() -> None:
    """Block 3 alone, as after a crash, is block 3 after block 2."""
    alone = learn(3)
    learn(2)
    after = learn(3)

    assert blocks.digest(alone.weights) == blocks.digest(after.weights)
    assert alone.losses == after.losses


def test_global_randomness_is_neither_used_nor_moved() -> None:
    """The generator that torch shares may stand anywhere, and stands there still afterwards."""
    block, _ = blocks.decoder()
    lesson = blocks.lesson(block, *blocks.texts(LENGTHS))
    digests = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        digests.append(blocks.digest(learn_block(block, *lesson, GRID, HOW).weights))
        assert torch.equal(before, torch.get_rng_state())

    assert digests[0] == digests[1]


def test_another_seed_draws_other_batches() -> None:
    """The seed is part of every draw: another one learns from other batches."""
    ours = learn().losses
    theirs = learn(how=SignRound(iters=8, batch_size=4, lr=0.04, seed=43)).losses

    assert ours is not None
    assert theirs is not None
    assert ours.training != theirs.training


def test_the_block_is_part_of_the_key() -> None:
    """Two blocks of one run do not see the same batches in the same order."""
    block, _ = blocks.decoder()
    samples = blocks.texts(LENGTHS)
    curves = []
    for index in (0, 1):
        twin = blocks.Block(
            index=index,
            weights=block.weights,
            forward=block.forward,
            device=block.device,
            dtype=block.dtype,
        )
        losses = learn_block(twin, *blocks.lesson(twin, *samples), GRID, HOW).losses
        assert losses is not None
        curves.append(losses.training)

    assert curves[0] != curves[1]


def test_a_replayed_chain_is_the_chain() -> None:
    """A resumed run carries its chains through finished blocks and stands where it stood."""
    block, _ = blocks.decoder()
    texts, sides = blocks.texts(LENGTHS)
    learned = learn_block(block, *blocks.lesson(block, texts, sides), GRID, HOW)

    chains = [blocks.chain(texts, sides) for _ in range(2)]
    for chain in chains:
        advance(block, chain, learned.weights, 4)

    assert torch.equal(chains[0].states, chains[1].states)


PROGRAM = """
import torch
from quantcore.learning import learn_block
from quantcore.grid import IntGrid
from quantcore.signround import SignRound
from tests.support import blocks

block, _ = blocks.decoder()
lesson = blocks.lesson(block, *blocks.texts([48] * 8 + [31]))  # batches large enough to be shared
for threads in (1, 2):
    torch.set_num_threads(threads)
    learned = learn_block(block, *lesson, IntGrid(group_size=64), SignRound(iters=6, lr=0.04))
    losses = [loss.hex() for loss in learned.losses.training]
    print(torch.get_num_threads(), learned.chosen_iteration, blocks.digest(learned.weights), losses)
"""


def test_two_threads_give_the_bytes_of_one() -> None:
    """In fp32 on a CPU neither the codes nor a single bit of a loss tell how many threads ran."""
    environment = os.environ | {
        "MKL_DYNAMIC": "FALSE",  # or MKL takes fewer threads than it is given
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )

    (threads, chosen, *one), (more_threads, _, *two) = map(str.split, done.stdout.splitlines())
    assert (threads, more_threads) == ("1", "2")
    assert int(chosen) > 0
    assert one == two
