"""Fidelity figures agree with torch's own definitions, however the tokens are cut."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from quantcore.metrics import (
    NOTHING,
    TOKENS_AT_ONCE,
    Fidelity,
    by_token,
    fidelity,
    merge,
    sqnr_db,
)

TOKENS = 2 * TOKENS_AT_ONCE + 7


def logits(seed: int, *, tokens: int = TOKENS, vocabulary: int = 50) -> Tensor:
    """Return logits of a model that is sure of little."""
    draw = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(tokens, vocabulary, generator=draw)


def following(seed: int, *, tokens: int = TOKENS, vocabulary: int = 50) -> Tensor:
    """Return the tokens that come next."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocabulary, (tokens,), generator=draw)


def test_kl_is_torchs_kl_of_the_reference_to_the_candidate() -> None:
    """KL(reference || candidate) per token, in nats, and not the other way round."""
    p_TV, q_TV = logits(1), logits(2)

    measured = fidelity(p_TV, q_TV, following(3))

    log_p, log_q = (functional.log_softmax(t.double(), -1) for t in (p_TV, q_TV))
    expected = functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    backwards = functional.kl_div(log_p, log_q, reduction="batchmean", log_target=True)
    assert measured.mean_kl == pytest.approx(float(expected), rel=1e-12)
    assert measured.mean_kl != pytest.approx(float(backwards), rel=1e-3)


def test_perplexity_is_exp_of_torchs_cross_entropy() -> None:
    """Both models are scored on the same next tokens."""
    p_TV, q_TV, next_T = logits(1), logits(2), following(3)

    measured = fidelity(p_TV, q_TV, next_T)

    for logits_TV, perplexity in (
        (p_TV, measured.perplexity_reference),
        (q_TV, measured.perplexity_candidate),
    ):
        expected = math.exp(functional.cross_entropy(logits_TV.double(), next_T))
        assert perplexity == pytest.approx(expected, rel=1e-12)


def test_a_uniform_model_is_as_perplexed_as_its_vocabulary_is_large() -> None:
    """Knowing nothing of 50 tokens is a perplexity of 50."""
    uniform = torch.zeros(TOKENS, 50)

    assert fidelity(uniform, uniform, following(1)).perplexity_candidate == pytest.approx(50)


def test_a_model_agrees_with_itself() -> None:
    """Identical models: no divergence, full agreement, the same perplexity."""
    measured = fidelity(logits(1), logits(1), following(2))

    assert measured.mean_kl == 0.0
    assert measured.top1_agreement == 1.0
    assert measured.perplexity_reference == measured.perplexity_candidate


def test_agreement_counts_the_same_first_choice() -> None:
    """Three of four tokens prefer the same successor, whatever the rest of the logits say."""
    p_TV = torch.eye(4)
    q_TV = torch.tensor([[9.0, 8, 0, 0], [0, 1, 0, 0], [0, 0, 3, 2], [5, 0, 0, 1]])

    assert fidelity(p_TV, q_TV, torch.zeros(4, dtype=torch.int64)).top1_agreement == 0.75


def test_the_sum_of_the_parts_is_the_whole() -> None:
    """Texts may be cut anywhere: merged sums equal those of one pass to float64's last digits."""
    p_TV, q_TV, next_T = logits(1), logits(2), following(3)
    whole = fidelity(p_TV, q_TV, next_T)

    for cut in (1, TOKENS_AT_ONCE, 100):
        parts = merge(
            fidelity(p_TV[:cut], q_TV[:cut], next_T[:cut]),
            fidelity(p_TV[cut:], q_TV[cut:], next_T[cut:]),
        )
        assert parts == pytest.approx(whole, rel=1e-12)


def test_nothing_adds_nothing() -> None:
    """The neutral element of `merge`, and what no tokens give."""
    some = Fidelity(3, 1.0, 2.0, 0.5, 2)

    assert merge(NOTHING, some) == some == merge(some, NOTHING)
    assert fidelity(logits(1)[:0], logits(2)[:0], following(3)[:0]) == NOTHING


def test_half_precision_logits_are_widened_first() -> None:
    """bf16 logits are summed as the float64 numbers that they are."""
    p_TV, q_TV, next_T = logits(1).bfloat16(), logits(2).bfloat16(), following(3)

    assert fidelity(p_TV, q_TV, next_T) == fidelity(p_TV.double(), q_TV.double(), next_T)


def test_sqnr_is_ten_decibels_a_decade() -> None:
    """Ten times less noise is 10 dB more."""
    assert sqnr_db(1.0, 0.1) == pytest.approx(10)
    assert sqnr_db(2.0, 2.0) == 0.0


def test_sqnr_of_the_ends() -> None:
    """No noise is inf, noise alone or without end -inf, and a lost loss is not a perfect one."""
    assert sqnr_db(1.0, 0.0) == math.inf
    assert sqnr_db(0.0, 1.0) == -math.inf
    assert sqnr_db(1.0, math.inf) == -math.inf
    assert math.isnan(sqnr_db(1.0, math.nan))


def test_tokens_kept_apart_add_up_to_the_whole() -> None:
    """The sums are over the very values that quantiles and intervals are made of."""
    p_TV, q_TV, next_T = logits(1), logits(2), following(3)

    apart = by_token(p_TV, q_TV, next_T)

    assert [row.shape for row in apart] == [next_T.shape] * 4
    assert apart.total == fidelity(p_TV, q_TV, next_T)
    one = fidelity(p_TV[70:71], q_TV[70:71], next_T[70:71])
    assert float(apart.kl_T[70]) == pytest.approx(one.kl, rel=1e-12)


def test_no_tokens_are_nothing() -> None:
    """A sample without a counted token adds nothing."""
    empty = torch.empty(0, 50)

    assert fidelity(empty, empty, torch.empty(0, dtype=torch.int64)) == NOTHING
