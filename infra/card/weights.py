"""What of a checkpoint is quantized and what is not, told by the headers of its files."""

from collections.abc import Mapping
from math import prod
from pathlib import Path

from infra.card.facts import KeptPart, WeightFacts
from infra.checkpoints.contents import read_contents
from infra.checkpoints.modules import WORD_BITS, quantized_modules
from infra.files import explaining
from infra.models.shards import TensorPlace

_PARTS = (".qweight", ".qzeros", ".scales", ".g_idx")
_KNOWN = (
    ("visual.", "vision tower and merger"),
    ("model.visual.", "vision tower and merger"),
    ("lm_head.", "output head"),
    ("model.embed_tokens.", "token embeddings"),
    ("model.language_model.embed_tokens.", "token embeddings"),
)
_REST = "norms and biases of the language model"
_OTHER = "other weights of the language model"
_SMALL = (".bias", "norm.weight")


def weigh(folder: Path, bits: int) -> WeightFacts:
    """Count what is packed and what is kept in an exported checkpoint.

    Args:
        folder: The checkpoint.
        bits: Bits a code.

    Raises:
        StorageError: A file cannot be read.
    """
    with explaining(folder, "reading"):
        tensors = read_contents(folder).tensors
    modules = quantized_modules(tensors)
    packed = sum(_numbers(tensors[f"{module}.qweight"]) * WORD_BITS // bits for module in modules)
    kept = _kept(tensors, frozenset(modules))
    return WeightFacts(
        modules=len(modules),
        packed_parameters=packed,
        parameters=packed + sum(part.parameters for part in kept),
        kept=kept,
    )


def weight_bytes(folder: Path) -> int:
    """Return the bytes of a folder's safetensors files.

    Raises:
        StorageError: A file cannot be looked at.
    """
    with explaining(folder, "reading"):
        return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _kept(tensors: Mapping[str, TensorPlace], modules: frozenset[str]) -> tuple[KeptPart, ...]:
    parts: dict[str, list[TensorPlace]] = {}
    for name, place in sorted(tensors.items()):
        module, dot, field = name.rpartition(".")
        if dot + field not in _PARTS or module not in modules:
            parts.setdefault(part_of(name), []).append(place)
    return tuple(
        KeptPart(
            part=part,
            tensors=len(places),
            parameters=sum(map(_numbers, places)),
            dtypes=tuple(sorted({str(place.dtype).removeprefix("torch.") for place in places})),
        )
        for part, places in sorted(parts.items(), key=lambda each: -sum(map(_numbers, each[1])))
    )


def part_of(name: str) -> str:
    """Return what a tensor that was not quantized belongs to, in words."""
    for start, words in _KNOWN:
        if name.startswith(start):
            return words
    return _REST if name.endswith(_SMALL) else _OTHER


def _numbers(place: TensorPlace) -> int:
    return prod(place.shape)
