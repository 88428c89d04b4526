"""Writes and reads the demo model's folder, laid out like a Hub repository."""

import json
from pathlib import Path

import torch
from safetensors.torch import save
from tokenizers import Tokenizer
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

from infra.demo import modeldef
from infra.demo.tokenizer import vocabulary_files
from infra.files import write_atomically

_LANGUAGE = "model.language_model."
_VISION = "model.visual."


def hub_name(name: str) -> str:
    """Translate a parameter name of transformers 5 to the Hub's.

    Args:
        name: Name in `state_dict()`.

    Returns:
        Name in the published Qwen2-VL checkpoints.
    """
    if name.startswith(_LANGUAGE):
        return f"model.{name.removeprefix(_LANGUAGE)}"
    if name.startswith(_VISION):
        return f"visual.{name.removeprefix(_VISION)}"
    return name


def _json(content: modeldef.Json) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write_descriptions(folder: Path, tokenizer: Tokenizer) -> None:
    """Write every file of the model folder but the weights.

    Args:
        folder: The model folder.
        tokenizer: The trained tokenizer.
    """
    texts = {
        "config.json": _json(modeldef.model_config()),
        "generation_config.json": _json(modeldef.generation_config()),
        "preprocessor_config.json": _json(modeldef.preprocessor_config()),
        "tokenizer_config.json": _json(modeldef.tokenizer_config()),
        "chat_template.json": _json({"chat_template": modeldef.CHAT_TEMPLATE}),
        **vocabulary_files(tokenizer),
    }
    for name, text in texts.items():
        write_atomically(folder / name, text.encode())


def write_weights(folder: Path, model: Qwen2VLForConditionalGeneration) -> Path:
    """Write the weights as bf16 under the Hub's names.

    Args:
        folder: The model folder.
        model: The model, of any dtype.

    Returns:
        The path of the file.
    """
    tensors = {
        hub_name(name): tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
    }
    content = save(dict(sorted(tensors.items())), metadata={"format": "pt"})
    path = folder / "model.safetensors"
    write_atomically(path, content)
    return path


def blank_model(folder: Path) -> Qwen2VLForConditionalGeneration:
    """Make an untrained model of the folder's configuration.

    Args:
        folder: The model folder.

    Returns:
        The model in fp32.
    """
    return Qwen2VLForConditionalGeneration(Qwen2VLConfig.from_pretrained(folder)).float()
