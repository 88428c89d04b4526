"""Packing against the slow, obvious one: no code is ever lost, whatever the width and the shape."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from quantcore.grid import BITS, IntGrid, QuantizedWeight
from quantcore.packing import pack, pack_rows, unpack, unpack_rows
from quantcore.reference import pack_column

bits_of_a_code = st.sampled_from(BITS)
seeds = st.integers(0, 2**32 - 1)


def random_codes(rows: int, columns: int, *, low: int, high: int, seed: int) -> torch.Tensor:
    """Return uint8 codes; the seed stands for their values, which Hypothesis need not shrink."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(low, high + 1, (rows, columns), generator=draw).to(torch.uint8)


@st.composite
def quantized_weights(draw: st.DrawFn) -> tuple[IntGrid, QuantizedWeight]:
    """Draw a grid and codes that fill it: 32, 64, … features each way, any group size that fits."""
    features_out, features_in = 32 * draw(st.integers(1, 4)), 32 * draw(st.integers(1, 8))
    fits = [size for size in (32, 64, 128, -1) if features_in % size == 0]
    grid = IntGrid(bits=draw(bits_of_a_code), group_size=draw(st.sampled_from(fits)))
    shape, seed = (features_out, grid.groups(features_in)), draw(seeds)
    return grid, QuantizedWeight(
        random_codes(features_out, features_in, low=0, high=grid.levels, seed=seed),
        torch.randn(shape, generator=torch.Generator().manual_seed(seed)).half(),
        random_codes(*shape, low=1, high=grid.levels, seed=seed + 1),
    )


@given(case=quantized_weights())
def test_unpack_undoes_pack(case: tuple[IntGrid, QuantizedWeight]) -> None:
    """Codes, scales and zero points come back as they went in."""
    grid, before = case

    after = unpack(pack(before, grid), grid)

    for expected, actual in zip(before, after, strict=True):
        assert expected.dtype == actual.dtype
        assert torch.equal(expected, actual)


@given(bits=bits_of_a_code, blocks=st.integers(1, 6), columns=st.integers(1, 5), seed=seeds)
def test_each_column_is_one_stream_of_bits(bits: int, blocks: int, columns: int, seed: int) -> None:
    """Every word equals that of one big number cut into 32 bits, and can be read back."""
    codes = random_codes(32 * blocks, columns, low=0, high=2**bits - 1, seed=seed)

    words = pack_rows(codes, bits)

    expected = [pack_column(codes[:, column].tolist(), bits) for column in range(columns)]
    assert expected == words.t().tolist()
    assert torch.equal(codes, unpack_rows(words, bits))


@given(
    bits=bits_of_a_code,
    words=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=24, max_size=24),
)
def test_any_words_are_some_codes(bits: int, words: list[int]) -> None:
    """Reading is total: every bit of a file belongs to one code, and packs back to itself."""
    column = torch.tensor(words, dtype=torch.int32)[:, None]

    codes = unpack_rows(column, bits)

    assert codes.shape == (24 * 32 // bits, 1)
    assert torch.equal(column, pack_rows(codes, bits))
