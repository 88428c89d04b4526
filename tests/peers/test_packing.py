"""Our packed words are the peer's, bit for bit, and each reads what the other wrote.

The peer packs weights, not codes: it divides W~ by the scale again and rounds.  In float32 that
gives the codes back exactly, so whatever differs is a difference of layout.
"""

import pytest
import torch
from auto_round_extension.torch.qlinear_torch_zp import QuantLinear
from torch import nn

from quantcore.grid import IntGrid, QuantizedWeight, dequantize
from quantcore.packing import PackedWeight, group_index, pack, unpack

ROWS, FEATURES = 96, 256
GRIDS = [
    IntGrid(bits=bits, group_size=group_size, symmetric=symmetric)
    for bits in (2, 3, 4, 8)
    for group_size in (32, 64, 128, -1)
    for symmetric in (True, False)
]
every_grid = pytest.mark.parametrize(
    "grid", GRIDS, ids=lambda g: f"w{g.bits}g{g.group_size}{'sym' if g.symmetric else 'asym'}"
)


def random_codes(grid: IntGrid, seed: int) -> QuantizedWeight:
    """Draw codes, scales of both signs and zero points from all that the layout can hold."""
    generator = torch.Generator().manual_seed(seed)
    groups = grid.groups(FEATURES)
    codes_OI = torch.randint(0, grid.levels + 1, (ROWS, FEATURES), generator=generator)
    size_OG = torch.rand(ROWS, groups, generator=generator) + 0.01
    sign_OG = torch.randint(0, 2, (ROWS, groups), generator=generator) * 2 - 1
    zero_OG = torch.full((ROWS, groups), grid.middle)
    if not grid.symmetric:
        zero_OG = torch.randint(1, grid.levels + 1, (ROWS, groups), generator=generator)
    return QuantizedWeight(
        codes_OI.to(torch.uint8), (size_OG * sign_OG).half(), zero_OG.to(torch.uint8)
    )


def peers_linear(weight: QuantizedWeight, grid: IntGrid) -> QuantLinear:
    """Pack the weight that these codes stand for with the peer's own packer."""
    linear = nn.Linear(FEATURES, ROWS, bias=False)
    linear.weight.data = dequantize(weight, torch.float32)
    packed = QuantLinear(grid.bits, grid.group_size, FEATURES, ROWS, bias=False, g_idx=True)
    zero = grid.middle if grid.symmetric else weight.zero_OG.float()
    packed.pack(linear, weight.scale_OG.float(), zero, device="cpu")
    return packed


@every_grid
@pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning")
def test_packed_words_are_the_peers(grid: IntGrid) -> None:
    """qweight, qzeros, scales and g_idx are the tensors that its `QuantLinear.pack` makes."""
    weight = random_codes(grid, seed=3)
    expected = peers_linear(weight, grid)

    packed = pack(weight, grid)

    assert torch.equal(expected.qweight, packed.qweight)
    assert torch.equal(expected.qzeros, packed.qzeros)
    assert torch.equal(expected.scales, packed.scales)
    assert torch.equal(expected.g_idx, group_index(FEATURES, grid))


@every_grid
@pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning")
def test_what_the_peer_packed_is_read_back_code_for_code(grid: IntGrid) -> None:
    """Unpacking the peer's words gives the codes, scales and zero points that went in."""
    weight = random_codes(grid, seed=4)
    theirs = peers_linear(weight, grid)

    read = unpack(PackedWeight(theirs.qweight, theirs.qzeros, theirs.scales), grid)

    for expected, actual in zip(weight, read, strict=True):
        assert torch.equal(expected, actual)


@every_grid
def test_the_peer_multiplies_by_what_we_packed(grid: IntGrid) -> None:
    """Its layer over our words multiplies by our dequantized weight, as float16 rounds it."""
    weight = random_codes(grid, seed=5)
    layer = QuantLinear(grid.bits, grid.group_size, FEATURES, ROWS, bias=False)
    layer.load_state_dict(pack(weight, grid)._asdict())

    # one row of the identity at a time picks one row of W~ without any sum
    weight_OI = layer(torch.eye(FEATURES, dtype=torch.float32)).t()

    assert torch.equal(dequantize(weight, torch.float16).float(), weight_OI)
