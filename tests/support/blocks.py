"""Small blocks and chains for tests of the engine: real causal attention, real gradients.

`decoder` is a decoder block as language models have it (rotary attention under a causal mask, a
gated MLP, a residual stream), small enough to be learned in a blink.  `linear` is one matrix, for
which the right answer can be written down.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from quantcore.activations import Batch, Budget, Chain, room
from quantcore.block import Block
from quantcore.grid import QuantizedWeight

HEADS = 2
CPU = torch.device("cpu")
IN_MEMORY = Budget(bytes=1 << 30, scratch=Path("never-used"))


class Decoder(nn.Module):
    """One decoder block: seven Linears to quantize, and what surrounds them."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(hidden, hidden)
        self.k_proj = nn.Linear(hidden, hidden)
        self.v_proj = nn.Linear(hidden, hidden)
        self.o_proj = nn.Linear(hidden, hidden, bias=False)
        self.gate_proj = nn.Linear(hidden, 2 * hidden, bias=False)
        self.up_proj = nn.Linear(hidden, 2 * hidden, bias=False)
        self.down_proj = nn.Linear(2 * hidden, hidden, bias=False)
        self.norm = nn.RMSNorm(hidden, eps=1e-6)
        self.register_buffer("gain", torch.ones(hidden))

    def forward(self, hidden_BTH: Tensor, cos_BTD: Tensor, sin_BTD: Tensor) -> Tensor:
        """Return the block's output; no token looks to its right."""
        normed = self.norm(hidden_BTH) * self.gain
        query, key, value = (
            project(normed).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        cos, sin = cos_BTD[:, None], sin_BTD[:, None]
        seen = functional.scaled_dot_product_attention(
            _turn(query, cos, sin), _turn(key, cos, sin), value, is_causal=True
        )
        hidden_BTH = hidden_BTH + self.o_proj(seen.transpose(1, 2).flatten(2))
        normed = self.norm(hidden_BTH)
        gated = functional.silu(self.gate_proj(normed)) * self.up_proj(normed)
        return hidden_BTH + self.down_proj(gated)


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-right, left), dim=-1) * sin


def rotary(length: int, hidden: int, *, first: int = 0) -> dict[str, Tensor]:
    """Return the cosines and sines of ``length`` positions from ``first`` on."""
    size = hidden // HEADS
    speeds = 100.0 ** (-torch.arange(0, size, 2) / size)
    angles = (torch.arange(first, first + length)[:, None] * speeds).repeat(1, 2)
    return {"cos": angles.cos(), "sin": angles.sin()}


def decoder(
    *, hidden: int = 64, index: int = 0, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[Block, Decoder]:
    """Return a decoder block with random weights, as the engine sees it, and its module."""
    module = Decoder(hidden)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=draw) * hidden**-0.5)
            else:
                parameter.copy_(1 + 0.1 * torch.randn(parameter.shape, generator=draw))
    module.requires_grad_(requires_grad=False).to(dtype)

    def forward(weights: Mapping[str, Tensor], batch: Batch) -> Tensor:
        side = (batch.side["cos"], batch.side["sin"])
        output: Tensor = functional_call(module, dict(weights), (batch.hidden_BTH, *side))
        return output

    linears = {
        f"{name}.weight": child.weight
        for name, child in module.named_children()
        if isinstance(child, nn.Linear)
    }
    return Block(index=index, weights=linears, forward=forward, device=CPU, dtype=dtype), module


def linear(weight_OI: Tensor, *, index: int = 0, dtype: torch.dtype = torch.float32) -> Block:
    """Return a block that is one matrix, called ``w``."""

    def forward(weights: Mapping[str, Tensor], batch: Batch) -> Tensor:
        used_OI: Tensor = weights.get("w", weight_OI).to(dtype)
        return batch.hidden_BTH @ used_OI.t()

    return Block(index=index, weights={"w": weight_OI}, forward=forward, device=CPU, dtype=dtype)


def chain(
    samples: Sequence[Tensor],
    sides: Sequence[Mapping[str, Tensor]] | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    budget: Budget = IN_MEMORY,
    name: str = "chain",
) -> Chain:
    """Return a chain that holds ``samples``, each ``[T, H]``."""
    lengths = [len(sample) for sample in samples]
    states = room(sum(lengths), samples[0].shape[1], dtype, name=name, budget=budget)
    made = Chain(lengths, states, sides if sides is not None else [{}] * len(samples))
    for number, sample in enumerate(samples):
        made.put(number, sample)
    return made


def texts(
    lengths: Sequence[int], *, hidden: int = 64, seed: int = 1
) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Return hidden states of correlated features, and each sample's own rotary embeddings."""
    states = [ar1(length, hidden, seed=seed * 1000 + n) for n, length in enumerate(lengths)]
    return states, [rotary(length, hidden, first=3 * n) for n, length in enumerate(lengths)]


def ar1(rows: int, features: int, *, seed: int, rho: float = 0.9) -> Tensor:
    """Return rows whose neighbouring features are correlated by ``rho``: ``[rows, features]``."""
    noise = torch.randn(rows, features, generator=torch.Generator().manual_seed(seed))
    columns = [noise[:, 0]]
    for column in range(1, features):
        columns.append(rho * columns[-1] + (1 - rho**2) ** 0.5 * noise[:, column])
    return torch.stack(columns, dim=1)


def orthogonal(features: int, *, seed: int) -> Tensor:
    """Return as many rows as features, with X'X = I."""
    draw = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(features, features, generator=draw)).Q


def outputs(block: Block, samples: Chain) -> list[Tensor]:
    """Return what the 16-bit block gives for each sample on its own, unpadded."""
    with torch.no_grad():
        return [
            block.forward({}, samples.batch([n], block.device, block.dtype))[0]
            for n in range(len(samples))
        ]


class Lesson(NamedTuple):
    """What a block learns from: its inputs, and its own outputs as targets."""

    inputs: Chain
    targets: Chain


def lesson(
    block: Block, samples: Sequence[Tensor], sides: Sequence[Mapping[str, Tensor]] | None = None
) -> Lesson:
    """Return chains of ``samples`` and of what the 16-bit block makes of them."""
    inputs = chain(samples, sides, dtype=block.dtype)
    return Lesson(inputs, chain(outputs(block, inputs), sides, dtype=block.dtype))


def digest(weights: Mapping[str, QuantizedWeight]) -> str:
    """Return the SHA-256 of all codes, scales and zero points."""
    total = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        total.update(name.encode())
        for tensor in weight:
            total.update(bytes(tensor.contiguous().view(torch.uint8).flatten().tolist()))
    return total.hexdigest()
