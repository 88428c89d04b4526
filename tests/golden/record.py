"""Print the losses of a tiny seeded block: what a change that claims to change nothing must keep.

    PYTHONPATH=. python tests/golden/record.py > tests/golden/tiny_block_int4_g32.losses.txt

The figures must not depend on the machine.  So the program starts itself again with the same
kernels everywhere (no vector instructions that only some processors have, one thread), and the
block has no exp or sin, whose last bits are each library's own.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from quantcore.activations import Batch
from quantcore.block import Block
from quantcore.grid import IntGrid
from quantcore.learning import learn_block
from quantcore.signround import SignRound
from tests.support import blocks

HIDDEN, ITERS = 64, 20
ROOT = Path(__file__).parents[2]
SAME_EVERYWHERE = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}
HEADER = f"""\
# Losses of a tiny block: INT4, group size 32, {ITERS} steps (tests/golden/record.py).
# A change of arithmetic re-records them in a commit of its own, with the reason and both ends:
#   PYTHONPATH=. python tests/golden/record.py > tests/golden/tiny_block_int4_g32.losses.txt
# Numbers are Python's float.hex: equal means equal to the last bit.
"""


def whole(rows: int, columns: int, *, seed: int, parts: int) -> Tensor:
    """Return random multiples of 1 / ``parts`` within ±1, the same on every machine."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(-parts, parts + 1, (rows, columns), generator=draw) / parts


def tiny_block() -> Block:
    """Return an MLP with a residual stream: x + down(relu(up(x)))."""
    weights = {
        "up": whole(2 * HIDDEN, HIDDEN, seed=1, parts=128) / 8,
        "down": whole(HIDDEN, 2 * HIDDEN, seed=2, parts=128) / 8,
    }

    def forward(exchanged: Mapping[str, Tensor], batch: Batch) -> Tensor:
        used = {**weights, **exchanged}
        lifted = (batch.hidden_BTH @ used["up"].t()).relu()
        return batch.hidden_BTH + lifted @ used["down"].t()

    return Block(index=0, weights=weights, forward=forward, device=blocks.CPU, dtype=torch.float32)


def record() -> str:
    """Learn the block and return its losses as the file holds them."""
    block = tiny_block()
    steps = [whole(5 + n % 4, HIDDEN, seed=10 + n, parts=16) for n in range(16)]
    lesson = blocks.lesson(block, [step.cumsum(1) / 4 for step in steps])  # neighbours correlate
    learned = learn_block(block, *lesson, IntGrid(group_size=32), SignRound(iters=ITERS))
    losses = learned.losses
    if losses is None:
        raise AssertionError("a block that was learned has losses")
    training = [f"training {n:2} {loss.hex()}" for n, loss in enumerate(losses.training, 1)]
    held_out = [f"held-out {n:2} {loss.hex()}" for n, loss in losses.checks]
    kept = f"kept     {learned.chosen_iteration:2} {blocks.digest(learned.weights)}"
    return "\n".join([*training, *held_out, kept, ""])


def main() -> None:
    """Print the file, from a process whose kernels are the same on every machine."""
    if all(os.environ.get(name) == value for name, value in SAME_EVERYWHERE.items()):
        sys.stdout.write(HEADER + record())
        return
    again = [sys.executable, __file__]
    sys.exit(subprocess.run(again, env=os.environ | SAME_EVERYWHERE, check=False).returncode)


if __name__ == "__main__":
    main()
