"""A finished block is a file: all of its codes, and how they were found."""

import math
from pathlib import Path

import pytest
import torch

from infra.errors import DiskFullError
from quantcore.block import Losses, QuantizedBlock
from quantcore.grid import IntGrid, QuantizedWeight
from quantcore.signround import round_to_nearest
from tasks.codes import names_of, read_codes, read_one, read_story, write_codes
from tests.support.disk import no_file_above

GRID = IntGrid(group_size=32)
NAMES = ("model.layers.0.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.weight")


def a_block(*, chosen: float = 0.25) -> QuantizedBlock:
    """Return a block of two small Linears."""
    generator = torch.Generator().manual_seed(3)
    weights: dict[str, QuantizedWeight] = {
        name: round_to_nearest(name, torch.randn(64, 64, generator=generator), GRID)
        for name in NAMES
    }
    losses = Losses(0.5, chosen, 4.0, (1.0, 0.5), ((0, 0.5), (2, chosen)))
    return QuantizedBlock(weights=weights, losses=losses, chosen_iteration=2, fallback=None)


def test_a_full_disk_is_told_with_the_file(tmp_path: Path) -> None:
    """And with what to do; the library's own error would name neither."""
    with no_file_above(1000), pytest.raises(DiskFullError, match=str(tmp_path / "block")):
        write_codes(tmp_path / "block", a_block(), {})


def test_codes_come_back_as_they_were(tmp_path: Path) -> None:
    """Codes, scales and zeros of every weight are read back bit for bit, whole or one by one."""
    block, path = a_block(), tmp_path / "block"

    write_codes(path, block, {})
    read = read_codes(path)

    assert names_of(path) == NAMES
    for name, weight in block.weights.items():
        assert all(map(torch.equal, read[name], weight))
        assert all(map(torch.equal, read_one(path, name), weight))
        assert [t.dtype for t in read[name]] == [torch.uint8, torch.float16, torch.uint8]


def test_the_story_comes_back(tmp_path: Path) -> None:
    """Losses, every check, the kept step and further facts are in the file."""
    write_codes(tmp_path / "block", a_block(), {"block": 7})

    assert read_story(tmp_path / "block") == {
        "block": 7,
        "losses": {
            "nearest": 0.5,
            "chosen": 0.25,
            "signal": 4.0,
            "training": [1.0, 0.5],
            "checks": [[0, 0.5], [2, 0.25]],
        },
        "chosen_iteration": 2,
        "fallback": None,
    }


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_none(tmp_path: Path, loss: float) -> None:
    """The file holds JSON that every reader takes, also of a block that went wrong."""
    write_codes(tmp_path / "block", a_block(chosen=loss), {})

    assert read_story(tmp_path / "block")["losses"]["chosen"] is None


def test_the_same_block_gives_the_same_bytes(tmp_path: Path) -> None:
    """Neither the time nor the order of the weights is in the file."""
    block = a_block()
    turned = QuantizedBlock(
        weights=dict(reversed(block.weights.items())),
        losses=block.losses,
        chosen_iteration=2,
        fallback=None,
    )
    write_codes(tmp_path / "one", block, {"block": 1})
    write_codes(tmp_path / "two", turned, {"block": 1})

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
