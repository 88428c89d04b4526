"""Let transformers' own loader take a checkpoint, and hear what it says about every key.

The loader renames source keys to its module names, and those rules move between versions; when a
name is wrong it makes up weights and goes on.  On the meta device it applies the rules to names and
shapes alone, so a checkpoint of any size can be asked about.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoConfig, Qwen2VLForConditionalGeneration
from transformers.utils import logging as chatter

from infra.calibration.sample import Sample

_BUILDING = threading.Lock()
"""transformers sets torch's default dtype while it builds a model, for all of the process.  Of two
at once, as shards have them that answer side by side, one may leave the other's behind for good."""


class LoadedKeys(NamedTuple):
    """What the loader found wrong, by its own module names."""

    missing: tuple[str, ...]  # the model has them, the checkpoint does not
    unexpected: tuple[str, ...]  # the checkpoint has them, the model does not
    mismatched: tuple[str, ...]  # of another shape

    @property
    def wrong(self) -> bool:
        """Whether anything is."""
        return any(self)


class Loaded(NamedTuple):
    """A model as a client gets it, and what its loader had to say."""

    model: nn.Module
    keys: LoadedKeys


def keys_of(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> LoadedKeys:
    """Load names and shapes, and no weight, into the model that ``folder``'s config describes.

    Args:
        folder: Holds config.json; what it says about quantization is left aside, since ``shapes``
            are those of unpacked weights.
        shapes: Source name to shape of every tensor.
    """
    skeleton = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    return load(folder, skeleton, device="meta", dtype=torch.get_default_dtype()).keys


def load(folder: Path, tensors: Mapping[str, Tensor], *, device: str, dtype: torch.dtype) -> Loaded:
    """Load 16-bit or unpacked ``tensors`` (source names) as a client would.

    Args:
        folder: Holds config.json.
        tensors: Every tensor of the checkpoint.
        device: Where to.
        dtype: Precision of the weights.
    """
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    if "quantization_config" in config.to_dict():
        del config.quantization_config
    with _BUILDING, _quietly():  # its table of keys is what we return
        model, found = Qwen2VLForConditionalGeneration.from_pretrained(
            None,
            config=config,
            state_dict=dict(tensors),
            dtype=dtype,
            device_map=device,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    return Loaded(model.eval(), _told(found))


def load_as_client(folder: Path, *, device: str, dtype: torch.dtype) -> Loaded:
    """Load a folder exactly as somebody does who has downloaded it: packed, with real kernels.

    Args:
        folder: A checkpoint.
        device: Where to.
        dtype: Precision of what is not packed.

    Raises:
        ImportError: The packages that read its format are not installed.
    """
    with _BUILDING, _quietly():
        model, found = Qwen2VLForConditionalGeneration.from_pretrained(
            folder, dtype=dtype, device_map=device, output_loading_info=True
        )
    return Loaded(model.eval(), _told(found))


def _told(found: Mapping[str, Iterable[Any]]) -> LoadedKeys:
    return LoadedKeys(
        _sorted(found["missing_keys"]),
        _sorted(found["unexpected_keys"]),
        _sorted(key[0] for key in found["mismatched_keys"]),
    )


@torch.no_grad()
def logits_of(model: nn.Module, sample: Sample) -> Tensor:
    """Return the logits ``[T, V]`` of a loaded model for one sample, in float32."""
    weight = next(model.parameters())
    inputs = {
        name: tensor
        for name, tensor in sample._asdict().items()
        if tensor is not None and (sample.pixel_values is not None or name == "input_ids")
    }
    for name in ("input_ids", "mm_token_type_ids"):
        if name in inputs:
            inputs[name] = inputs[name][None]
    if "pixel_values" in inputs:
        inputs["pixel_values"] = inputs["pixel_values"].to(weight.dtype)
    output = model(**{name: tensor.to(weight.device) for name, tensor in inputs.items()})
    logits: Tensor = output.logits[0].float()
    return logits


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence transformers' loading report and bar, and leave its settings as they were."""
    verbosity, bar = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
    try:
        yield
    finally:
        chatter.set_verbosity(verbosity)
        if bar:
            chatter.enable_progress_bar()


def _sorted(keys: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted(map(str, keys)))
