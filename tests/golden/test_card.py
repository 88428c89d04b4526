"""A card changes when its wording does, and a reviewer sees every word of it."""

from pathlib import Path

from tests.golden.record_card import facts
from tests.support.card import rendered

HERE = Path(__file__).parent


def test_the_card_is_the_recorded_one() -> None:
    """If it was meant to change: record it again, as `record_card.py` says, and read the diff."""
    recorded = (HERE / "card.md").read_text(encoding="utf-8")

    assert recorded.splitlines() == rendered(facts()).splitlines()
