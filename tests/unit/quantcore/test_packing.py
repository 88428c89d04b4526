"""The words of a checkpoint: what every GPTQ reader expects, and back without a lost bit."""

import pytest
import torch

from quantcore.errors import PackingError
from quantcore.grid import BITS, IntGrid, QuantizedWeight
from quantcore.packing import PackedWeight, group_index, pack, pack_rows, unpack, unpack_rows
from quantcore.reference import pack_column


def random_codes(features_out: int, features_in: int, grid: IntGrid) -> QuantizedWeight:
    """Return codes, scales and zero points that use the whole of the grid."""
    draw = torch.Generator().manual_seed(features_in + grid.bits)
    groups = grid.groups(features_in)
    codes_OI = torch.randint(0, grid.levels + 1, (features_out, features_in), generator=draw)
    zero_OG = torch.randint(1, grid.levels + 1, (features_out, groups), generator=draw)
    scale_OG = torch.randn(features_out, groups, generator=draw).half()
    return QuantizedWeight(codes_OI.to(torch.uint8), scale_OG, zero_OG.to(torch.uint8))


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("group_size", [32, 64, 128, -1])
def test_unpack_undoes_pack(bits: int, group_size: int) -> None:
    """Unpacking gives back every code, scale and zero point, 3 bits across words included."""
    grid = IntGrid(bits=bits, group_size=group_size)
    before = random_codes(64, 256, grid)

    after = unpack(pack(before, grid), grid)

    for expected, actual in zip(before, after, strict=True):
        assert expected.dtype == actual.dtype
        assert torch.equal(expected, actual)


@pytest.mark.parametrize("bits", BITS)
def test_packed_shapes_and_types(bits: int) -> None:
    """I * bits / 32 rows of words for the codes, O * bits / 32 columns for the zero points."""
    grid = IntGrid(bits=bits, group_size=64)

    packed = pack(random_codes(96, 128, grid), grid)

    assert (torch.int32, (128 * bits // 32, 96)) == (packed.qweight.dtype, packed.qweight.shape)
    assert (torch.int32, (2, 96 * bits // 32)) == (packed.qzeros.dtype, packed.qzeros.shape)
    assert (torch.float16, (2, 96)) == (packed.scales.dtype, packed.scales.shape)
    assert all(tensor.is_contiguous() for tensor in packed)


def test_eight_codes_a_word_lowest_nibble_first() -> None:
    """Code i of a column stands at bits 4 i, as in the published layout."""
    codes = torch.tensor([[1], [2], [3], [4], [5], [6], [7], [15]], dtype=torch.uint8)

    assert pack_rows(codes, 4).tolist() == [[0xF7654321 - 2**32]]


def test_symmetric_zero_points_are_sevens() -> None:
    """Version 1 of the format stores zero - 1: 0x77777777 for the middle of 4 bits."""
    grid = IntGrid(group_size=32)
    weight = random_codes(32, 32, grid)._replace(
        zero_OG=torch.full((32, 1), grid.middle, dtype=torch.uint8)
    )

    assert pack(weight, grid).qzeros.unique().tolist() == [0x77777777]


@pytest.mark.parametrize("bits", BITS)
def test_a_column_is_one_stream_of_bits(bits: int) -> None:
    """Each column equals the obvious packing, one big number cut into words."""
    codes = random_codes(3, 96, IntGrid(bits=bits, group_size=32)).codes_OI.t()

    words = pack_rows(codes, bits)

    for column in range(3):
        expected = pack_column(codes[:, column].tolist(), bits)
        assert expected == words[:, column].tolist()


@pytest.mark.parametrize("bits", BITS)
def test_the_extremes_survive(bits: int) -> None:
    """All ones sets the sign bit of every word, all zeros none."""
    for code in (0, 2**bits - 1):
        codes = torch.full((32, 2), code, dtype=torch.uint8)
        words = pack_rows(codes, bits)
        assert words.unique().tolist() == [-1 if code else 0]
        assert torch.equal(codes, unpack_rows(words, bits))


def test_group_index_counts_groups_without_reordering() -> None:
    """g_idx of a layer that was not reordered is input feature // group size."""
    assert group_index(128, IntGrid(group_size=32)).tolist() == [i // 32 for i in range(128)]
    assert group_index(96, IntGrid(group_size=-1)).tolist() == [0] * 96
    assert group_index(64, IntGrid(group_size=64)).dtype == torch.int32


def test_a_zero_point_of_zero_is_refused() -> None:
    """Zero - 1 would be written as the largest code, and read as a shift of the whole group."""
    grid = IntGrid(group_size=32)
    weight = random_codes(32, 32, grid)
    weight.zero_OG[5, 0] = 0

    with pytest.raises(PackingError, match="A zero point is 0"):
        pack(weight, grid)


@pytest.mark.parametrize(
    ("bits", "features_out", "features_in", "named"),
    [
        (4, 12, 32, "out_features=12"),
        (4, 8, 36, "in_features=36"),
        (3, 16, 32, "out_features=16"),
        (3, 32, 48, "in_features=48"),
        (2, 8, 32, "out_features=8"),
    ],
)
def test_features_that_do_not_fill_words_are_refused(
    bits: int, features_out: int, features_in: int, named: str
) -> None:
    """The message names the side, its size and the width."""
    grid = IntGrid(bits=bits, group_size=-1)

    with pytest.raises(PackingError, match=f"{named} at {bits} bits"):
        pack(random_codes(features_out, features_in, grid), grid)


def spoiled() -> list[PackedWeight]:
    """Return packed weights in which one tensor does not fit the others."""
    grid = IntGrid(group_size=32)
    qweight, qzeros, scales = pack(random_codes(64, 64, grid), grid)
    return [
        PackedWeight(qweight[:, :32], qzeros, scales),  # columns lost
        PackedWeight(qweight[:4], qzeros, scales),  # rows lost: another group count
        PackedWeight(qweight[:5], qzeros, scales),  # rows that no group fills
        PackedWeight(qweight, qzeros[:1], scales),
        PackedWeight(qweight, qzeros, scales[:1]),
        PackedWeight(qweight, qzeros, scales.flatten()),  # not a matrix
        PackedWeight(qweight.flatten(), qzeros, scales),
    ]


@pytest.mark.parametrize("case", range(7))
def test_tensors_that_do_not_fit_each_other_are_refused(case: int) -> None:
    """A damaged checkpoint is a clear error with the three shapes, never a wrong weight."""
    with pytest.raises(PackingError, match=r"qweight \(.*qzeros \(.*scales \("):
        unpack(spoiled()[case], IntGrid(group_size=32))


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_the_wrong_width_is_refused(bits: int) -> None:
    """A 4-bit file under another width's configuration does not decode to noise."""
    grid = IntGrid(bits=4, group_size=32)
    packed = pack(random_codes(64, 64, grid), grid)

    with pytest.raises(PackingError, match="are not one Linear"):
        unpack(packed, IntGrid(bits=bits, group_size=32))
