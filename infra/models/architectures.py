"""Which model families can be quantized, and where to find how each is read."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.errors import UnknownArchitectureError
from infra.models.qwen2_vl import Qwen2VL

KNOWN = {"Qwen2VLForConditionalGeneration": Qwen2VL}


def for_config(config: Mapping[str, Any], names: Sequence[str]) -> Qwen2VL:
    """Return how to read the model that ``config`` (parsed config.json) describes.

    Args:
        config: The parsed ``config.json``.
        names: The tensor names of its checkpoint.

    Raises:
        UnknownArchitectureError: The first of its ``architectures`` is not a known one.
    """
    architectures = config.get("architectures") or ["(none named)"]
    if architectures[0] not in KNOWN:
        raise UnknownArchitectureError(name=str(architectures[0]), known=sorted(KNOWN))
    return KNOWN[architectures[0]].of(config, names)
