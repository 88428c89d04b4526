"""A refactor reproduces the recorded losses to the bit; a change of arithmetic says so."""

import os
import subprocess
import sys
from pathlib import Path

from tests.golden.record import SAME_EVERYWHERE

HERE = Path(__file__).parent


def test_the_tiny_blocks_losses_are_the_recorded_ones() -> None:
    """Each of 20 training losses, each held-out loss and the codes kept equal the file's.

    If arithmetic was meant to change: record again, as the file's own header says.
    """
    recorded = (HERE / "tiny_block_int4_g32.losses.txt").read_text()

    again = subprocess.run(
        [sys.executable, HERE / "record.py"],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | SAME_EVERYWHERE,
    )

    assert recorded.splitlines() == again.stdout.splitlines()
