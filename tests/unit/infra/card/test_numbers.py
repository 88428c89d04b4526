"""Each kind of number is written in one way."""

import pytest

from infra.card import numbers
from infra.card.scores import VariantScore
from infra.evaluation.wording import DOWN, ELLIPSIS, MINUS, UP

SCORE = VariantScore(
    variant="pile",
    overall=79.6449,
    difference=-0.8551,
    low=-1.604,
    high=-0.104,
    recovery=98.938,
    flips_down=1.25,
    flips_up=0.5,
)


def test_a_variants_cell_has_number_difference_and_interval() -> None:
    """A number without its interval invites to read noise."""
    assert numbers.score(SCORE) == f"79.64 ({MINUS}0.86, 95% {MINUS}1.60{ELLIPSIS}{MINUS}0.10)"


def test_flips_go_each_way() -> None:
    """An average has none."""
    assert numbers.flips(SCORE) == f"{DOWN}1.25% {UP}0.50%"
    assert numbers.flips(SCORE.model_copy(update={"flips_down": None})) == "-"


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1 << 10, "1.00 KiB"), (5_986_652_160, "5.58 GiB")],
)
def test_sizes_are_in_the_largest_unit(value: int, written: str) -> None:
    """Of which there is at least one."""
    assert numbers.size(value) == written


def test_what_is_not_known_is_a_dash() -> None:
    """And never a zero."""
    assert (numbers.percent(None), numbers.nats(None), numbers.loss(None)) == ("-", "-", "-")


def test_other_numbers() -> None:
    """Counts with thousands set off, points and percent with two digits, losses with four."""
    assert numbers.count(6525288448) == "6,525,288,448"
    assert numbers.points(83.842) == "83.84"
    assert numbers.percent(101.6718) == "101.67%"
    assert numbers.nats(0.0124149) == "0.01241"
    assert numbers.perplexity(7.30119) == "7.3012"
    assert numbers.loss(0.00085741) == "0.0008574"
    assert (numbers.share(0.00123), numbers.share(None)) == ("1.2e-03", "-")
