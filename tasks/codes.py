"""The codes of a block as a file: what a finished block leaves in the store."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from infra.checkpoints.papers import sayable
from infra.checkpoints.tensorfile import save_tensors
from quantcore.block import QuantizedBlock
from quantcore.grid import QuantizedWeight

FIELDS = QuantizedWeight._fields
METADATA = "roundhouse.block"


def write_codes(path: Path, block: QuantizedBlock, facts: Mapping[str, Any]) -> None:
    """Write codes, scales and zero points of a block, and how they were found.

    The bytes are a function of the block alone: names are sorted and no time is recorded.

    Raises:
        StorageError: The file cannot be written.
    """
    tensors = {
        f"{name}:{field}": tensor
        for name, weight in block.weights.items()
        for field, tensor in weight._asdict().items()
    }
    story = json.dumps(sayable({**facts, **_story(block)}), sort_keys=True, allow_nan=False)
    save_tensors(path, tensors, {METADATA: story})


def names_of(path: Path) -> tuple[str, ...]:
    """Return the source weight names in a file of codes."""
    with safe_open(path, framework="pt") as file:
        return tuple(sorted({key.rpartition(":")[0] for key in list(file.keys())}))


def read_one(path: Path, name: str) -> QuantizedWeight:
    """Read the codes of one weight."""
    with safe_open(path, framework="pt") as file:
        return QuantizedWeight(*(file.get_tensor(f"{name}:{field}") for field in FIELDS))


def read_codes(path: Path) -> dict[str, QuantizedWeight]:
    """Read back the codes of a block by source weight name."""
    return {name: read_one(path, name) for name in names_of(path)}


def read_story(path: Path) -> dict[str, Any]:
    """Read how a block's codes were found: losses, the chosen iteration, a fallback.

    A loss that was not finite reads as None.
    """
    with safe_open(path, framework="pt") as file:
        story: dict[str, Any] = json.loads(file.metadata()[METADATA])
    return story


def _story(block: QuantizedBlock) -> dict[str, Any]:
    losses = {} if block.losses is None else block.losses._asdict()
    if losses.get("found") is None:  # most blocks begin from round-to-nearest
        losses.pop("found", None)
    return {
        "losses": losses or None,
        "chosen_iteration": block.chosen_iteration,
        "fallback": block.fallback,
    }
