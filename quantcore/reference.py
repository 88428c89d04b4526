"""The slow, obvious engine: the same arithmetic in nested loops, for tests alone.

Hypothesis compares the real engine with this one.  Nothing else may import it.
"""

import struct
from collections.abc import Sequence

HALF_FLOOR = struct.unpack("e", struct.pack("e", 1e-5))[0]


def to_half(x: float) -> float:
    """Return the float16 nearest to ``x``."""
    return float(struct.unpack("e", struct.pack("e", x))[0])


def quantize_group(
    weights: Sequence[float],
    offsets: Sequence[float],
    alpha: float,
    beta: float,
    *,
    bits: int,
    symmetric: bool,
) -> tuple[list[int], float, int]:
    """Return (codes, scale, zero point) of one group (arXiv:2309.05516, eq. 3 and 4).

    ``weights`` and the result's scale are exact in float32 and float16; the sums are Python's own
    float64, so callers must keep off the edges where float32 would round the other way.
    """
    low, high = min(*weights, 0.0) * beta, max(*weights, 0.0) * alpha
    levels, middle = 2**bits - 1, 2 ** (bits - 1)
    if symmetric:
        extreme = -low if high < -low else -high
        scale = to_half(extreme / middle)
        scale = min(scale, -HALF_FLOOR) if scale < 0 else max(scale, HALF_FLOOR)
        zero = middle
    else:
        scale = max(to_half((high - low) / levels), HALF_FLOOR)
        zero = min(max(round(-low / scale), 1), levels)
    codes = []
    for weight, offset in zip(weights, offsets, strict=True):
        code = round(weight / scale + offset) + zero
        codes.append(min(max(code, 0), levels))
    return codes, scale, zero


def pack_column(codes: Sequence[int], bits: int) -> list[int]:
    """Return signed 32-bit words that hold ``codes`` end to end, lowest bit first."""
    stream = 0
    for position, code in enumerate(codes):
        stream |= code << (position * bits)
    words = [(stream >> (32 * word)) & 0xFFFFFFFF for word in range(len(codes) * bits // 32)]
    return [word - 2**32 if word >= 2**31 else word for word in words]
