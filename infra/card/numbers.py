"""How the card writes numbers: each kind in one way, here and nowhere else.

Whatever the card prints went through one of these on its way from `release.json`, so that a number
of the card can be looked up there.
"""

from infra.card.scores import VariantScore
from infra.evaluation.wording import DOWN, UP, signed, span

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
NOTHING = "-"


def count(value: int) -> str:
    """Return how many, with thousands set off."""
    return f"{value:,}"


def points(value: float) -> str:
    """Return a score in points."""
    return f"{value:.2f}"


def percent(value: float | None) -> str:
    """Return percent, which ``value`` is already."""
    return NOTHING if value is None else f"{value:.2f}%"


def score(one: VariantScore) -> str:
    """Return a variant's cell: its number, the difference, and how far chance could reach."""
    interval = span(one.low, one.high, 2)
    return f"{points(one.overall)} ({signed(one.difference, 2)}, 95% {interval})"


def flips(one: VariantScore) -> str:
    """Return the share of answers that changed, each way."""
    if one.flips_down is None or one.flips_up is None:
        return NOTHING
    return f"{DOWN}{one.flips_down:.2f}% {UP}{one.flips_up:.2f}%"


def size(value: int) -> str:
    """Return bytes in the largest unit of which there is at least one."""
    for unit, name in _UNITS:
        if value >= unit:
            return f"{value / unit:.2f} {name}"
    return f"{value} bytes"


def nats(value: float | None) -> str:
    """Return a KL divergence."""
    return NOTHING if value is None else f"{value:.5f}"


def perplexity(value: float) -> str:
    """Return a perplexity."""
    return f"{value:.4f}"


def loss(value: float | None) -> str:
    """Return the error of a block."""
    return NOTHING if value is None else f"{value:.4g}"


def share(value: float | None) -> str:
    """Return a small share of one."""
    return NOTHING if value is None else f"{value:.1e}"
