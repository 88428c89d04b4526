"""How far a quantized model is from its source: perplexity, KL divergence, agreement, noise.

All sums are in float64 over tokens, so that the order of batches does not show.  Logits are
widened a few tokens at a time: 2048 tokens of a vocabulary of 152,000 are 2.5 GB in float64.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Fidelity(NamedTuple):
    """Sums over predicted tokens; add two with `merge`, read them with the properties."""

    tokens: int
    nll_reference: float  # nats
    nll_candidate: float  # nats
    kl: float  # nats, KL(reference || candidate)
    agreeing: int  # tokens whose most likely successor is the same

    @property
    def perplexity_reference(self) -> float:
        """Perplexity of the 16-bit model."""
        return math.exp(self.nll_reference / self.tokens)

    @property
    def perplexity_candidate(self) -> float:
        """Perplexity of the quantized model."""
        return math.exp(self.nll_candidate / self.tokens)

    @property
    def mean_kl(self) -> float:
        """Mean KL divergence per token, in nats."""
        return self.kl / self.tokens

    @property
    def top1_agreement(self) -> float:
        """Share of tokens on which both models prefer the same successor."""
        return self.agreeing / self.tokens


class TokenFidelity(NamedTuple):
    """The same, token by token, all float64 ``[T]``: what quantiles and intervals are made of."""

    nll_reference_T: Tensor  # nats
    nll_candidate_T: Tensor  # nats
    kl_T: Tensor  # nats, KL(reference || candidate)
    agreeing_T: Tensor  # 1 where the most likely successor is the same, else 0

    @property
    def total(self) -> Fidelity:
        """The sums over all tokens."""
        nll_reference, nll_candidate, kl, agreeing = (float(row.sum()) for row in self)
        return Fidelity(len(self.kl_T), nll_reference, nll_candidate, kl, int(agreeing))


TOKENS_AT_ONCE = 64
NOTHING = Fidelity(0, 0.0, 0.0, 0.0, 0)


def merge(one: Fidelity, other: Fidelity) -> Fidelity:
    """Add up two measurements."""
    return Fidelity(
        one.tokens + other.tokens,
        one.nll_reference + other.nll_reference,
        one.nll_candidate + other.nll_candidate,
        one.kl + other.kl,
        one.agreeing + other.agreeing,
    )


def by_token(reference_TV: Tensor, candidate_TV: Tensor, next_T: Tensor) -> TokenFidelity:
    """Compare two models' logits on the same tokens, and keep every token apart.

    Args:
        reference_TV: Logits of the 16-bit model, tokens by vocabulary.
        candidate_TV: Logits of the quantized model.
        next_T: The token that follows each position, int64.
    """
    cut = (torch.split(rows, TOKENS_AT_ONCE) for rows in (reference_TV, candidate_TV, next_T))
    pieces = [_of_few(*few) for few in zip(*cut, strict=True)]
    return TokenFidelity(*(torch.cat(rows) for rows in zip(*pieces, strict=True)))


def fidelity(reference_TV: Tensor, candidate_TV: Tensor, next_T: Tensor) -> Fidelity:
    """Compare two models' logits on the same tokens; arguments are those of `by_token`."""
    return by_token(reference_TV, candidate_TV, next_T).total


def _of_few(reference_TV: Tensor, candidate_TV: Tensor, next_T: Tensor) -> TokenFidelity:
    """Compare the logits of a few tokens."""
    p_TV = torch.log_softmax(reference_TV.double(), dim=-1)
    q_TV = torch.log_softmax(candidate_TV.double(), dim=-1)
    picked_T1 = next_T[:, None]
    return TokenFidelity(
        nll_reference_T=-p_TV.gather(1, picked_T1)[:, 0].cpu(),
        nll_candidate_T=-q_TV.gather(1, picked_T1)[:, 0].cpu(),
        kl_T=(p_TV.exp() * (p_TV - q_TV)).sum(-1).cpu(),
        agreeing_T=(p_TV.argmax(-1) == q_TV.argmax(-1)).double().cpu(),
    )


def sqnr_db(signal: float, noise: float) -> float:
    """Return the signal-to-quantization-noise ratio in decibels, from two mean squares.

    No noise is inf, noise alone is -inf, and what is not a number stays so.
    """
    if noise == 0:
        return math.inf
    ratio = signal / noise
    return 10 * math.log10(ratio) if ratio != 0 else -math.inf
