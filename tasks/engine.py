"""Where the two bottom rooms meet: model files (infra) become blocks and chains (quantcore).

A model is opened, not loaded.  Its parts are read when they are needed and dropped afterwards, so
memory is the front, or one block, or the head, and the activations.
"""

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from infra.calibration.sample import Sample
from infra.models.architectures import for_config
from infra.models.finding import open_tensors
from infra.models.qwen2_vl import DecoderBlock, Place, Qwen2VL
from infra.models.source import ModelSource
from infra.models.tensors import TensorIndex, Tensors
from quantcore.activations import Batch, Budget, Chain, room
from quantcore.block import Block
from quantcore.grid import IntGrid
from tasks.specs import ComputeSpec, QuantizationSpec

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
GIB = 2**30


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model folder with its family's reader and the place it runs in."""

    tensors: Tensors
    family: Qwen2VL
    place: Place

    def block(self, index: int) -> Block:
        """Load a decoder block as the engine sees it."""
        layer = self.family.block(self.tensors, index, self.place)
        return Block(
            index=index,
            weights=layer.linears,
            forward=_Forward(layer),
            device=self.place.device,
            dtype=self.place.dtype,
        )

    def linears(self, index: int) -> dict[str, Tensor]:
        """Load only the weights of a block that are quantized."""
        loaded = self.tensors.load_many(self.family.linears(index))
        return {name: weight.to(self.place.device) for name, weight in loaded.items()}

    def chain(self, samples: Sequence[Sample], *, name: str, budget: Budget) -> Chain:
        """Run samples through the front: the state of all of them before block 0."""
        front = self.family.front(
            self.tensors, self.place, images=any(s.pixel_values is not None for s in samples)
        )
        lengths = [len(sample.input_ids) for sample in samples]
        states = room(
            sum(lengths), self.family.hidden_size, self.place.dtype, name=name, budget=budget
        )
        seen: dict[bytes, Mapping[str, Tensor]] = {}
        sides: list[Mapping[str, Tensor]] = []
        for sample, rows in zip(samples, torch.split(states, lengths), strict=True):
            embedded = front(sample)
            rows.copy_(embedded.hidden_TH)
            side = {key: tensor.cpu() for key, tensor in embedded.side.items()}
            sides.append(seen.setdefault(_key(side), side))  # texts of one length share theirs
        return Chain(lengths, states, sides)


@dataclass(frozen=True, slots=True)
class _Forward:
    """Hands a batch of the engine to a decoder layer."""

    layer: DecoderBlock

    def __call__(self, weights: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.layer(weights, batch.hidden_BTH, batch.side)


def open_model(folder: Path, compute: ComputeSpec, tensors: Tensors | None = None) -> OpenModel:
    """Open a model folder.

    Args:
        folder: Holds config.json and, without ``tensors``, safetensors files.
        compute: Device and precision.
        tensors: Where its tensors come from instead.

    Raises:
        InfraError: No weights, a missing or cut shard, or an unknown architecture.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tensors = TensorIndex.open(folder) if tensors is None else tensors
    return OpenModel(tensors, for_config(config, tensors.names), place_of(compute))


def open_source(source: ModelSource, compute: ComputeSpec) -> OpenModel:
    """Open a model that is present on this machine, its weights in a folder or in a bucket.

    Raises:
        InfraError: No weights, a missing or cut shard, or an unknown architecture.
    """
    return open_model(source.path, compute, open_tensors(source))


def grid_of(asked: QuantizationSpec) -> IntGrid:
    """Return the engine's grid for what a recipe asks."""
    return IntGrid(bits=asked.bits, group_size=asked.group_size, symmetric=asked.symmetric)


def place_of(compute: ComputeSpec) -> Place:
    """Decide device and precision: a GPU in bfloat16 if there is one, else the CPU in float32."""
    device = compute.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = compute.dtype
    if dtype == "auto":
        dtype = "bfloat16" if device == "cuda" else "float32"
    return Place(torch.device(device), DTYPES[dtype])


def hardware(place: Place) -> dict[str, str]:
    """Return what computes at a place, in words: ``device``, ``precision``, on a GPU ``cuda``."""
    precision = {"precision": str(place.dtype).removeprefix("torch.")}
    if place.device.type == "cuda":
        name, cuda = torch.cuda.get_device_name(place.device), str(torch.version.cuda)
        return {"device": name, "cuda": cuda, **precision}
    cpu = f"{platform.machine()} CPU, {torch.backends.cpu.get_cpu_capability()}"
    return {"device": cpu, **precision}


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Run with ``count`` CPU threads, then with as many as before; None leaves them alone."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def budget_of(compute: ComputeSpec, scratch: Path, *, chains: int) -> Budget:
    """Share the memory for activations among as many ``chains``."""
    return Budget(bytes=int(compute.activation_gib * GIB / chains), scratch=scratch)


def _key(side: Mapping[str, Tensor]) -> bytes:
    """Return what tells one sample's rotary embeddings from another's."""
    pieces = (side[name].contiguous().view(torch.uint8) for name in sorted(side))
    return b"".join(piece.numpy().tobytes() for piece in pieces)
