"""Model folders that differ from the tiny one in a single thing, and the samples to run them on."""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from infra.calibration.conversations import ChatEncoder, Turn, encode
from infra.calibration.images import Picture
from infra.calibration.sample import Sample
from infra.models.tensors import TensorIndex

WEIGHTS = "model.safetensors"
Weights = dict[str, Tensor]


class Watched:
    """The tensors of a folder, and which of them were read."""

    def __init__(self, folder: Path) -> None:
        self.index = TensorIndex.open(folder)
        self.read: list[str] = []

    @property
    def names(self) -> tuple[str, ...]:
        """Every tensor's name."""
        return self.index.names

    def load(self, name: str) -> Tensor:
        """Read one, and remember it."""
        self.read.append(name)
        return self.index.load(name)

    def load_many(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Read several."""
        return {name: self.load(name) for name in names}


def rewritten(
    model: Path,
    folder: Path,
    *,
    weights: Callable[[Weights], Weights] = lambda same: same,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Copy a model of one weight file into ``folder`` with other weights or config values."""
    shutil.copytree(model, folder)
    save_file(weights(load_file(model / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})
    told = json.loads((model / "config.json").read_text(encoding="utf-8")) | dict(config or {})
    (folder / "config.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def as_resaved(weights: Weights) -> Weights:
    """Give tensors the names that transformers 4.52 and later use inside."""
    return {_vision(_language(name)): tensor for name, tensor in weights.items()}


def as_half_resaved(weights: Weights) -> Weights:
    """Give the vision tower alone its new names, as transformers 5.4 and 5.5 save them."""
    return {_vision(name): tensor for name, tensor in weights.items()}


def without(*names: str) -> Callable[[Weights], Weights]:
    """Leave tensors out."""
    return lambda weights: {name: t for name, t in weights.items() if name not in names}


def replaced(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Weights], Weights]:
    """Change one tensor."""
    return lambda weights: {**weights, name: change(weights[name]).contiguous()}


def text_sample(length: int, *, seed: int = 0) -> Sample:
    """Return random text tokens; the special tokens of the tiny model lie behind 400."""
    generator = torch.Generator().manual_seed(seed)
    return Sample(torch.randint(0, 400, (length,), generator=generator), None, None, None)


def image_sample(encoder: ChatEncoder, *, size: tuple[int, int] = (112, 112)) -> Sample:
    """Return a question about a picture with a ramp in it, so that no two patches are alike."""
    ramp = Image.linear_gradient("L").resize(size)
    picture = Picture(Image.merge("RGB", (ramp, ramp.rotate(180), ramp)), "")
    return encode((Turn("user", "Which colour is it?"),), picture, encoder, place="a test")


def _language(name: str) -> str:
    if name.startswith("model."):
        return name.replace("model.", "model.language_model.", 1)
    return name


def _vision(name: str) -> str:
    return f"model.{name}" if name.startswith("visual.") else name
