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
        ModelConfigError: A value of the config is not of its kind.
    """
    named = config.get("architectures") or ["(none named)"]
    name = str(named[0]) if isinstance(named, list) else str(named)
    if name not in KNOWN:
        raise UnknownArchitectureError(name=name, known=sorted(KNOWN))
    return KNOWN[name].of(config, names)
