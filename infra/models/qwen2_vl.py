"""Qwen2-VL in three parts that are loaded one after the other: front, decoder blocks, head.

The whole model is never in memory.  Its skeleton lives on the meta device; each part is filled from
the safetensors index when its turn comes, and dropped afterwards.  All arithmetic is transformers'
own code: the front *is* its model with an empty list of decoder layers, so images, M-RoPE and
placeholders are handled as every client handles them, and a hook (which always comes off) reads the
rotary embeddings on the way.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from torch.func import functional_call
from transformers import Qwen2VLConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import (
    Qwen2VLDecoderLayer,
    Qwen2VLModel,
    Qwen2VLRMSNorm,
    Qwen2VLRotaryEmbedding,
    Qwen2VLVisionRotaryEmbedding,
)

from infra.calibration.sample import Sample
from infra.errors import ModelConfigError
from infra.models.tensors import Tensors

LINEARS = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)
HEAD = "lm_head.weight"
VOCABULARY_SLICE = 16384  # rows of the output head that are widened to the compute dtype at a time


class Embedded(NamedTuple):
    """What enters the first decoder block for one sample."""

    hidden_TH: Tensor
    side: Mapping[str, Tensor]  # "cos" and "sin", each [T, head size]


@dataclass(frozen=True, slots=True)
class Place:
    """Where and in what precision a part runs."""

    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class DecoderBlock:
    """One decoder layer with its weights.

    Attributes:
        linears: The weights to quantize, source name to ``[O, I]`` in the source's dtype.
        layer: The layer in the compute dtype, but for these weights, which it shares: while they
            are learned others stand in for them, and a second copy of a 7B block is 0.9 GB.
        prefix: Source name of the layer, with its last dot.
        dtype: The compute dtype.
    """

    linears: Mapping[str, Tensor]
    layer: nn.Module
    prefix: str
    dtype: torch.dtype

    def __call__(
        self, weights: Mapping[str, Tensor], hidden: Tensor, side: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the layer's output ``[B, T, H]`` with ``weights`` (source names) exchanged.

        Causal attention without a mask: padding stands on the right, where no token looks.
        """
        exchanged = {
            name.removeprefix(self.prefix): weights[name] if name in weights else own.to(self.dtype)
            for name, own in self.linears.items()
        }
        rotary = {"position_embeddings": (side["cos"], side["sin"]), "attention_mask": None}
        output: Tensor = functional_call(self.layer, exchanged, (hidden,), rotary)
        return output


@dataclass(frozen=True, slots=True)
class Front:
    """Embeddings, vision tower and rotary embeddings: tokens and pixels to hidden states."""

    model: Qwen2VLModel
    embeddings: Tensor  # [V, H] in the source's dtype, widened row by row
    place: Place

    @torch.no_grad()
    def __call__(self, sample: Sample) -> Embedded:
        """Return what the first decoder block receives for one sample."""
        tokens = sample.input_ids[None].to(self.place.device)
        hidden = nn.functional.embedding(tokens, self.embeddings).to(self.place.dtype)
        with _captured(self.model.language_model.rotary_emb) as rotary:
            output = self.model(
                input_ids=tokens,
                inputs_embeds=hidden,
                use_cache=False,
                **_image_arguments(sample, self.place),
            )
        cos, sin = rotary[0]
        return Embedded(output.last_hidden_state[0], {"cos": cos[0], "sin": sin[0]})


@dataclass(frozen=True, slots=True)
class Head:
    """Final norm and output head: hidden states to logits."""

    norm: nn.Module
    weight: Tensor  # [V, H] in the source's dtype
    place: Place

    @torch.no_grad()
    def __call__(self, hidden_TH: Tensor) -> Tensor:
        """Return logits ``[T, V]`` in float32; the head is widened slice by slice."""
        normed = self.norm(hidden_TH.to(self.place.device, self.place.dtype))
        slices = torch.split(self.weight, VOCABULARY_SLICE)
        return torch.cat([(normed @ rows.to(normed.dtype).t()).float() for rows in slices], dim=-1)


@dataclass(frozen=True, slots=True)
class Qwen2VL:
    """How to read a Qwen2-VL checkpoint part by part."""

    config: Qwen2VLConfig
    text_prefix: str  # "model." at the source; "model.language_model." after a re-save
    vision_prefix: str

    @classmethod
    def of(cls, config: Mapping[str, Any], names: Sequence[str]) -> "Qwen2VL":
        """Read a config and the tensor names it goes with.

        Some versions of transformers save new names for one tower and old ones for the other, so
        each tower is asked for by itself.

        Raises:
            ModelConfigError: A value of the config is not of its kind.
        """
        try:
            parsed = Qwen2VLConfig(**{**config, "attn_implementation": "sdpa"})
        except StrictDataclassError as error:
            raise ModelConfigError(
                f"config.json describes no Qwen2-VL model: {' '.join(str(error).split())} "
                "Fetch it again from where the model came."
            ) from error
        new_text = any(name.startswith("model.language_model.") for name in names)
        new_vision = any(name.startswith("model.visual.") for name in names)
        return cls(
            parsed,
            "model.language_model." if new_text else "model.",
            "model.visual." if new_vision else "visual.",
        )

    @property
    def blocks(self) -> int:
        """The number of decoder blocks."""
        return int(self.config.text_config.num_hidden_layers)

    @property
    def hidden_size(self) -> int:
        """H."""
        return int(self.config.text_config.hidden_size)

    def linears(self, block: int) -> tuple[str, ...]:
        """Return the source names of the weights to quantize in one block."""
        return tuple(f"{self.text_prefix}layers.{block}.{linear}.weight" for linear in LINEARS)

    def front(self, index: Tensors, place: Place, *, images: bool) -> Front:
        """Load embeddings, and the vision tower if there are ``images``."""
        with torch.device("meta"):
            model = Qwen2VLModel(self.config)
        model.language_model.layers = nn.ModuleList()
        model.language_model.norm = nn.Identity()
        model.language_model.rotary_emb = Qwen2VLRotaryEmbedding(self.config.text_config)
        model.language_model.rotary_emb.to(place.device)
        if images:
            model.visual.rotary_pos_emb = Qwen2VLVisionRotaryEmbedding(self.config.vision_config)
            model.visual.rotary_pos_emb.to(place.device)
            _fill(model.visual, index, self.vision_prefix, place)
        embeddings = index.load(f"{self.text_prefix}embed_tokens.weight").to(place.device)
        return Front(model.eval(), embeddings, place)

    def block(self, index: Tensors, block: int, place: Place) -> DecoderBlock:
        """Load one decoder block."""
        with torch.device("meta"):
            layer = Qwen2VLDecoderLayer(self.config.text_config, block)
        prefix = f"{self.text_prefix}layers.{block}."
        names = self.linears(block)
        kept = _fill(layer, index, prefix, place, as_they_are=frozenset(names))
        linears = {name: kept[name] for name in names}
        return DecoderBlock(linears, layer.eval(), prefix, place.dtype)

    def head(self, index: Tensors, place: Place) -> Head:
        """Load the final norm and the output head (the embeddings, where they are tied).

        Raises:
            UnknownTensorError: There is no head, and the config does not say that it is tied.
        """
        text = self.config.text_config
        with torch.device("meta"):
            norm = Qwen2VLRMSNorm(text.hidden_size, eps=text.rms_norm_eps)
        _fill(norm, index, f"{self.text_prefix}norm.", place)
        tied = self.config.tie_word_embeddings and HEAD not in index.names
        name = f"{self.text_prefix}embed_tokens.weight" if tied else HEAD
        return Head(norm, index.load(name).to(place.device), place)


def _fill(
    module: nn.Module,
    index: Tensors,
    prefix: str,
    place: Place,
    *,
    as_they_are: frozenset[str] = frozenset(),
) -> dict[str, Tensor]:
    """Give a meta module its weights in the compute dtype, some ``as_they_are``; return these.

    Raises:
        UnknownTensorError: A weight is in no file.
        ModelConfigError: A weight has another shape than the config gives it.
    """
    wanted = {prefix + name: tensor.shape for name, tensor in module.state_dict().items()}
    source = index.load_many(wanted)
    for name, shape in wanted.items():
        if source[name].shape != shape:
            raise ModelConfigError(
                f"{name} is {list(source[name].shape)}, and config.json makes it {list(shape)}: "
                "config.json belongs to another model. Fetch both from one revision."
            )
    kept = {name: source[name].to(place.device) for name in wanted if name in as_they_are}
    rest = {n: t.to(place.device, place.dtype) for n, t in source.items() if n not in kept}
    filled = {name.removeprefix(prefix): tensor for name, tensor in (rest | kept).items()}
    module.load_state_dict(filled, assign=True)
    module.requires_grad_(requires_grad=False)
    return kept


def _image_arguments(sample: Sample, place: Place) -> dict[str, Tensor]:
    """Return what the model wants to be told about a sample's image, nothing for plain text."""
    if sample.pixel_values is None or sample.image_grid_thw is None:
        return {}
    if sample.mm_token_type_ids is None:
        raise ValueError("A sample with pixel_values needs mm_token_type_ids for its M-RoPE.")
    return {
        "pixel_values": sample.pixel_values.to(place.device, place.dtype),
        "image_grid_thw": sample.image_grid_thw.to(place.device),
        "mm_token_type_ids": sample.mm_token_type_ids[None].to(place.device),
    }


@contextmanager
def _captured(module: nn.Module) -> Iterator[list[Any]]:
    """Collect a module's outputs while the block runs; the hook comes off whatever happens."""
    outputs: list[Any] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()
