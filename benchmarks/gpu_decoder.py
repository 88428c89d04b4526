"""A random decoder block of Qwen2-VL-7B's shape, and random chains for it, in plain torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from quantcore.activations import Batch, Budget, Chain, room
from quantcore.block import Block

IN_MEMORY = Budget(bytes=1 << 50, scratch=Path("never-used"))
THETA = 1_000_000.0  # base of the rotary embeddings


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder block; those of Qwen2-VL-7B unless others are asked for."""

    hidden: int = 3584
    intermediate: int = 18944
    heads: int = 28
    kv_heads: int = 4

    @property
    def head(self) -> int:
        """Return the size of a head."""
        return self.hidden // self.heads

    def linears(self) -> dict[str, tuple[int, int]]:
        """Return the shapes ``[O, I]`` of the weights to quantize."""
        keys = self.kv_heads * self.head
        return {
            "q_proj": (self.hidden, self.hidden),
            "k_proj": (keys, self.hidden),
            "v_proj": (keys, self.hidden),
            "o_proj": (self.hidden, self.hidden),
            "gate_proj": (self.intermediate, self.hidden),
            "up_proj": (self.intermediate, self.hidden),
            "down_proj": (self.hidden, self.intermediate),
        }


@dataclass(frozen=True)
class Decoder:
    """A decoder block as functions of its weights: rotary attention, gated MLP, residual stream."""

    shape: Shape
    weights: Mapping[str, Tensor]
    biases: Mapping[str, Tensor]  # of queries, keys and values
    norms: tuple[Tensor, Tensor]

    def __call__(self, exchanged: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Return the output ``[B, T, H]`` with some weights exchanged."""

        def linear(name: str, x: Tensor) -> Tensor:
            return functional.linear(
                x, exchanged.get(name, self.weights[name]), self.biases.get(name)
            )

        hidden = batch.hidden_BTH
        normed = self._norm(hidden, 0)
        query, key, value = (
            linear(name, normed).unflatten(-1, (-1, self.shape.head)).transpose(1, 2)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        cos, sin = batch.side["cos"][:, None], batch.side["sin"][:, None]
        seen = functional.scaled_dot_product_attention(
            _turn(query, cos, sin), _turn(key, cos, sin), value, is_causal=True, enable_gqa=True
        )
        hidden = hidden + linear("o_proj", seen.transpose(1, 2).flatten(2))
        normed = self._norm(hidden, 1)
        gated = functional.silu(linear("gate_proj", normed)) * linear("up_proj", normed)
        return hidden + linear("down_proj", gated)

    def _norm(self, x: Tensor, which: int) -> Tensor:
        wide = x.float()
        unit = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-6)
        return self.norms[which] * unit.to(x.dtype)


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-right, left), dim=-1) * sin


def random_block(shape: Shape, index: int, device: torch.device, dtype: torch.dtype) -> Block:
    """Return a block of random weights, the same on every call with this index."""
    draw = torch.Generator(device).manual_seed(1000 + index)

    def normal(*size: int, scale: float) -> Tensor:
        return (torch.randn(size, generator=draw, device=device) * scale).to(dtype)

    linears = shape.linears()
    weights = {name: normal(o, i, scale=i**-0.5) for name, (o, i) in linears.items()}
    biases = {n: normal(linears[n][0], scale=0.1) for n in ("q_proj", "k_proj", "v_proj")}
    norms = (1 + normal(shape.hidden, scale=0.1), 1 + normal(shape.hidden, scale=0.1))
    decoder = Decoder(shape, weights, biases, norms)
    return Block(index=index, weights=weights, forward=decoder, device=device, dtype=dtype)


def random_chain(
    shape: Shape, samples: int, seqlen: int, device: torch.device, dtype: torch.dtype
) -> Chain:
    """Return samples whose features are correlated, as those of a language model are."""
    draw = torch.Generator(device).manual_seed(1)
    mix = torch.randn(shape.hidden // 8, shape.hidden, generator=draw, device=device)
    speeds = THETA ** (-torch.arange(0, shape.head, 2) / shape.head)
    angles = (torch.arange(seqlen)[:, None] * speeds).repeat(1, 2)
    side = {"cos": angles.cos().to(dtype), "sin": angles.sin().to(dtype)}
    states = room(samples * seqlen, shape.hidden, dtype, name="chain", budget=IN_MEMORY)
    chain = Chain([seqlen] * samples, states, [side] * samples)
    for sample in range(samples):
        latent = torch.randn(seqlen, len(mix), generator=draw, device=device)
        own = torch.randn(seqlen, shape.hidden, generator=draw, device=device)
        chain.put(sample, (latent @ mix * len(mix) ** -0.5 + 0.3 * own).to(dtype))
    return chain
