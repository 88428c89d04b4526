"""Numbers as people read them."""

import pytest

from infra.evaluation.wording import MINUS, signed, span


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.234, "+1.2"), (-0.86, f"{MINUS}0.9"), (0.0, "0.0"), (-0.04, "0.0"), (0.04, "0.0")],
)
def test_a_difference_has_a_sign_unless_it_is_0(value: float, expected: str) -> None:
    """What rounds to 0 is 0, and never minus 0."""
    assert signed(value, 1) == expected


def test_an_interval_names_both_ends() -> None:
    """Its ends are joined by an ellipsis, since a dash could be a minus."""
    assert span(-2.44, 0.71, 1) == f"{MINUS}2.4\N{HORIZONTAL ELLIPSIS}+0.7"
