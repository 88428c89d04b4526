"""Codes to the words of a checkpoint, and back: the GPTQ layout (version 1).

Both export formats carry these tensors.  Along the input features, codes are laid end to end as one
stream of bits, lowest first, cut into 32-bit words; zero points are laid the same way along the
output features, minus one (version 1 of the format; the reader adds it back).  For 4 bits that is
eight codes a word, lowest nibble first.  For 3 bits a code may straddle two words.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from quantcore.errors import PackingError
from quantcore.grid import IntGrid, QuantizedWeight

WORD = 32


class PackedWeight(NamedTuple):
    """One Linear as a checkpoint stores it.

    Invariants: ``qweight`` has I * bits / 32 rows and O columns; ``qzeros`` G rows and
    O * bits / 32 columns; ``scales`` G rows and O columns.
    """

    qweight: Tensor  # int32
    qzeros: Tensor  # int32, zero point minus one
    scales: Tensor  # float16


def pack(weight: QuantizedWeight, grid: IntGrid) -> PackedWeight:
    """Pack the codes of one Linear.

    Raises:
        PackingError: The features do not fill whole words, or a zero point is 0 (the format stores
            it minus one, without a sign).
    """
    features_out, features_in = weight.codes_OI.shape
    _check_words(features_in, features_out, grid)
    if int(weight.zero_OG.min()) < 1:
        raise PackingError("A zero point is 0; this layout stores zero - 1 and begins at 1.")
    return PackedWeight(
        pack_rows(weight.codes_OI.t(), grid.bits),
        pack_rows(weight.zero_OG - 1, grid.bits).t().contiguous(),
        weight.scale_OG.t().contiguous(),
    )


def unpack(packed: PackedWeight, grid: IntGrid) -> QuantizedWeight:
    """Give back what was packed, code for code.

    Raises:
        PackingError: The three tensors do not fit each other.
    """
    _check_fit(packed, grid)
    return QuantizedWeight(
        unpack_rows(packed.qweight, grid.bits).t().contiguous(),
        packed.scales.t().contiguous(),
        unpack_rows(packed.qzeros.t(), grid.bits) + 1,
    )


def group_index(features_in: int, grid: IntGrid) -> Tensor:
    """Return the group of each input feature, int32 ``[I]`` (``g_idx``, without reordering)."""
    size = features_in // grid.groups(features_in)
    return torch.arange(features_in, dtype=torch.int32) // size


def pack_rows(codes: Tensor, bits: int) -> Tensor:
    """Lay the codes of each column end to end: uint8 ``[R, C]`` to int32 ``[R * bits / 32, C]``."""
    rows, columns = codes.shape
    per_word = WORD // bits
    if per_word * bits == WORD:
        lanes = codes.reshape(rows // per_word, per_word, columns)
        words = torch.zeros(rows // per_word, columns, dtype=torch.int32, device=codes.device)
        for lane in range(per_word):
            words |= lanes[:, lane].to(torch.int32) << (bits * lane)
        return words
    return _pack_straddling(codes, bits)


def unpack_rows(words: Tensor, bits: int) -> Tensor:
    """Undo `pack_rows`: int32 ``[R * bits / 32, C]`` to uint8 ``[R, C]``."""
    rows, columns = words.shape[0] * WORD // bits, words.shape[1]
    per_word, mask = WORD // bits, 2**bits - 1
    if per_word * bits == WORD:
        lanes = [((words >> (bits * lane)) & mask).to(torch.uint8) for lane in range(per_word)]
        return torch.stack(lanes, dim=1).reshape(rows, columns)
    return _unpack_straddling(words, bits)


def _pack_straddling(codes: Tensor, bits: int) -> Tensor:
    """Pack widths that do not divide 32: a block of 32 codes fills ``bits`` words."""
    rows, columns = codes.shape
    block = codes.reshape(rows // WORD, WORD, columns).to(torch.int64)
    words = torch.zeros(rows // WORD, bits, columns, dtype=torch.int64, device=codes.device)
    for code in range(WORD):
        word, shift = divmod(code * bits, WORD)
        words[:, word] |= block[:, code] << shift
        if shift + bits > WORD:
            words[:, word + 1] |= block[:, code] >> (WORD - shift)
    low = words & 0xFFFFFFFF
    return torch.where(low >= 2**31, low - 2**32, low).to(torch.int32).reshape(-1, columns)


def _unpack_straddling(words: Tensor, bits: int) -> Tensor:
    """Undo `_pack_straddling`."""
    columns = words.shape[1]
    wide = words.reshape(-1, bits, columns).to(torch.int64) & 0xFFFFFFFF
    codes = torch.empty(wide.shape[0], WORD, columns, dtype=torch.uint8, device=words.device)
    for code in range(WORD):
        word, shift = divmod(code * bits, WORD)
        value = wide[:, word] >> shift
        if shift + bits > WORD:
            value = value | (wide[:, word + 1] << (WORD - shift))
        codes[:, code] = (value & (2**bits - 1)).to(torch.uint8)
    return codes.reshape(-1, columns)


def _check_fit(packed: PackedWeight, grid: IntGrid) -> None:
    """Refuse tensors that are not one Linear of this grid.

    Each shape is spoiled by one number, so the whole is compared with what O and I ask for.
    """
    words, features_out = (*packed.qweight.shape, 0, 0)[:2]
    features_in = words * WORD // grid.bits
    groups = 1 if grid.group_size == -1 else features_in // grid.group_size
    expected = (
        (features_in * grid.bits // WORD, features_out),
        (groups, features_out * grid.bits // WORD),
        (groups, features_out),
    )
    whole = grid.group_size == -1 or features_in == groups * grid.group_size
    if not whole or tuple(tuple(tensor.shape) for tensor in packed) != expected:
        raise PackingError(
            f"qweight {tuple(packed.qweight.shape)}, qzeros {tuple(packed.qzeros.shape)} and "
            f"scales {tuple(packed.scales.shape)} are not one Linear of {grid}: the file is "
            "damaged, or its configuration belongs to another one."
        )


def _check_words(features_in: int, features_out: int, grid: IntGrid) -> None:
    """Refuse a Linear whose rows or columns do not fill whole words."""
    for what, count in (("in_features", features_in), ("out_features", features_out)):
        if count * grid.bits % WORD or (WORD % grid.bits and count % WORD):
            raise PackingError(
                f"{what}={count} at {grid.bits} bits does not fill whole 32-bit words; "
                f"leave this layer in 16 bit, or use a width where {what} * bits divides by 32."
            )
