"""Whether each quantized Linear has all its tensors, of the right form, with sane values.

Shapes: I input features, O output features, G groups, b bits.  A module is known by its
``X.qweight`` int32 ``[I * b / 32, O]``, and has with it ``X.qzeros`` int32 ``[G, O * b / 32]``,
``X.scales`` float16 ``[G, O]``, and in the auto_gptq format ``X.g_idx`` int32 ``[I]``.  Only the
small ones are read: scales, zeros and g_idx, never the codes.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from infra.checkpoints.contents import Contents
from infra.checkpoints.tensorfile import TensorSpec
from infra.models.shards import TensorPlace

WORD_BITS = 32
_PARTS = (".qweight", ".qzeros", ".scales", ".g_idx")


class Scheme(NamedTuple):
    """What the config says of all quantized modules."""

    bits: int
    group_size: int  # -1: one group for all inputs
    sym: bool
    g_idx: bool  # whether the format wants it


def quantized_modules(tensors: Mapping[str, TensorPlace]) -> tuple[str, ...]:
    """Return the names of the modules that have codes."""
    return tuple(
        sorted(name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight"))
    )


def module_problems(module: str, contents: Contents, scheme: Scheme) -> Iterator[str]:
    """Tell what is wrong with one module: first its set, then its forms, then its values."""
    tensors = contents.tensors
    wanted = {f"{module}{part}" for part in _PARTS if scheme.g_idx or part != ".g_idx"}
    missing = sorted(wanted - tensors.keys())
    if missing:
        yield f"{module} is quantized, but lacks {', '.join(missing)}"
        return
    if not scheme.g_idx and f"{module}.g_idx" in tensors:
        yield f"{module}.g_idx does not belong into this format"
    if f"{module}.weight" in tensors:
        yield f"{module} has both codes and a 16-bit weight"
    wrong = tuple(_form_problems(module, contents, scheme))
    yield from wrong or _value_problems(module, contents, scheme)


def stray_problems(tensors: Mapping[str, TensorPlace]) -> Iterator[str]:
    """Tell of parts of quantized modules that have no codes."""
    for name in sorted(tensors):
        module, dot, part = name.rpartition(".")
        if dot + part in _PARTS and f"{module}.qweight" not in tensors:
            yield f"{name} belongs to no quantized module"


def symmetric_zeros(bits: int, words: int) -> Tensor:
    """Return a row of ``words`` int32 in which every zero point is the middle, stored minus 1."""
    middle = (1 << (bits - 1)) - 1
    stream = sum(middle << (bits * place) for place in range(WORD_BITS))  # fills `bits` words
    data = stream.to_bytes(bits * WORD_BITS // 8, "little")
    pattern = torch.frombuffer(bytearray(data), dtype=torch.int32)
    return pattern.repeat(-(-words // bits))[:words]


def _form_problems(module: str, contents: Contents, scheme: Scheme) -> Iterator[str]:
    tensors = contents.tensors
    codes = _spec(tensors[f"{module}.qweight"])
    if codes.dtype != torch.int32 or len(codes.shape) != 2 or not all(codes.shape):  # noqa: PLR2004
        yield f"{module}.qweight is {_told(codes)}, not a matrix of int32"
        return
    features_in, features_out = codes.shape[0] * WORD_BITS // scheme.bits, codes.shape[1]
    group_size = features_in if scheme.group_size == -1 else scheme.group_size
    if features_in % group_size:
        yield f"{module} has {features_in} inputs, which groups of {group_size} do not divide"
        return
    groups = features_in // group_size
    wanted = {
        "qzeros": TensorSpec(torch.int32, (groups, features_out * scheme.bits // WORD_BITS)),
        "scales": TensorSpec(torch.float16, (groups, features_out)),
    }
    if scheme.g_idx:
        wanted["g_idx"] = TensorSpec(torch.int32, (features_in,))
    for part, spec in wanted.items():
        found = _spec(tensors[f"{module}.{part}"])
        if found != spec:
            yield f"{module}.{part} is {_told(found)}, but its codes want {_told(spec)}"
    bias = tensors.get(f"{module}.bias")
    if bias and bias.shape != (features_out,):
        yield f"{module}.bias is {_told(_spec(bias))}, but its codes want [{features_out}]"


def _value_problems(module: str, contents: Contents, scheme: Scheme) -> Iterator[str]:
    scales = contents.read(f"{module}.scales")
    bad = int((~scales.isfinite() | (scales == 0)).sum())
    if bad:
        yield f"{module}.scales has {bad} of {scales.numel()} that are zero, NaN or infinite"
    if scheme.sym:
        zeros = contents.read(f"{module}.qzeros")
        if not (zeros == symmetric_zeros(scheme.bits, zeros.shape[1])).all():
            yield f"{module}.qzeros are not all in the middle, though sym is true"
    if scheme.g_idx:
        g_idx = contents.read(f"{module}.g_idx")
        group_size = len(g_idx) if scheme.group_size == -1 else scheme.group_size
        if not torch.equal(g_idx, (torch.arange(len(g_idx)) // group_size).int()):
            yield f"{module}.g_idx does not count up by groups of {group_size}"


def _spec(place: TensorPlace) -> TensorSpec:
    return TensorSpec(place.dtype, place.shape)


def _told(spec: TensorSpec) -> str:
    return f"{str(spec.dtype).removeprefix('torch.')} {list(spec.shape)}"
