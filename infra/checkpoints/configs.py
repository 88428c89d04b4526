"""What `config.json` says about the quantization: the one place where formats differ in words.

Readers trust these few keys blindly, and a wrong one is silent: transformers loads random weights
and goes on.  So each key here has its reason, and no key is written for decoration (`dataset`,
`tokenizer`, `backend`, `format` and `meta` each mean something to some reader).
"""

import json
from pathlib import Path
from typing import Any

from infra.checkpoints.plan import Format
from infra.errors import AlreadyQuantizedError
from infra.models.source import CONFIG_FILE, read_config

KEY = "quantization_config"

# transformers 4.52 and later, vLLM, and SGLang look for the blocks under different names; only a
# list of both, as one string, is right for all three.
BLOCK_NAMES = "model.language_model.layers,model.layers"

# The copy of the config that each format's readers look for beside config.json, which wins.
COPY_OF_CONFIG: dict[Format, str] = {
    "auto_round": "quantization_config.json",
    "auto_gptq": "quantize_config.json",
}


def quantization_config(kind: Format, *, bits: int, group_size: int, sym: bool) -> dict[str, Any]:
    """Return the ``quantization_config`` of a format."""
    if kind == "auto_round":
        return {
            "quant_method": "auto-round",
            "bits": bits,
            "group_size": group_size,
            "sym": sym,
            "data_type": "int",
            "packing_format": "auto_round:auto_gptq",
            "block_name_to_quantize": BLOCK_NAMES,
        }
    return {
        "quant_method": "gptq",
        "bits": bits,
        "group_size": group_size,
        "sym": sym,
        "desc_act": False,
        "static_groups": False,
        "true_sequential": False,
        "damp_percent": 0.01,  # readers want a number between 0 and 1; nothing here uses it
        "lm_head": False,
        "checkpoint_format": "gptq",
        # SGLang takes every Linear for quantized, the vision tower too, unless told otherwise.
        "dynamic": {"-:.*visual.*": {}},
    }


def source_config(folder: Path) -> dict[str, Any]:
    """Return the parsed ``config.json`` of a 16-bit model, its keys in the order of the file.

    Raises:
        ModelConfigError: It is missing or no JSON object.
        AlreadyQuantizedError: The model is quantized already.
        StorageError: It cannot be read.
    """
    config = read_config(folder)
    if KEY in config:
        raise AlreadyQuantizedError(
            f"{folder / CONFIG_FILE} has a {KEY}: the model is quantized already. Start from the "
            "16-bit model."
        )
    return config


def config_bytes(config: dict[str, Any]) -> bytes:
    """Return ``config`` as the files of a model hold it: two spaces, keys in their order."""
    return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
