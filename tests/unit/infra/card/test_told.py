"""Every number of the card is one of its `release.json`: the card is read anew and looked up."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from infra.card.facts import ReleaseFacts, as_json
from infra.card.render import TEMPLATES
from tests.support import markdown
from tests.support.card import MAIN, evaluation_facts, release_facts, rendered

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")
UNITS = (1, 1 << 10, 1 << 20, 1 << 30)
FACTS = release_facts()


def leaves(value: Any) -> Iterator[Any]:
    """Yield every string and number of a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif value is not None and not isinstance(value, bool):
        yield value


def spellings(value: Any) -> set[str]:
    """Return how a card may write a value of the file: rounded, with commas, in a unit."""
    if isinstance(value, str):
        return set(NUMBER.findall(value))
    written = {f"{abs(value) / unit:.2f}" for unit in UNITS}
    written |= {f"{abs(value):.{digits}f}" for digits in range(6)} | {
        f"{value:.4g}",
        f"{value:.1e}",
    }
    if isinstance(value, int):
        written |= {str(value), f"{value:,}", f"{value + 1}"}  # blocks are counted from 1
    return written


def numbers_of(text: str) -> list[str]:
    """Return the numbers of a text as they are written."""
    return NUMBER.findall(text)


def told_in(facts: ReleaseFacts) -> set[str]:
    """Return every spelling of everything in the file."""
    told = json.loads(as_json(facts.published_as(MAIN)))
    return {spelling for leaf in leaves(told) for spelling in spellings(leaf)}


def said_by_the_template() -> set[str]:
    """Return the numbers that the template itself says: 16-bit, 95%, a year, a paper's number."""
    texts = (path.read_text(encoding="utf-8") for path in TEMPLATES.iterdir())
    plain = (re.sub(r"\{[{%].*?[%}]\}", " ", text, flags=re.DOTALL) for text in texts)
    return {number for text in plain for number in numbers_of(text)}


def test_every_number_of_the_card_is_in_the_file_or_in_the_template() -> None:
    """In tables, sentences, programs and commands alike."""
    page = markdown.read(rendered(FACTS))
    card = "\n".join([page.text, *(code.text for code in page.codes)])

    assert {*numbers_of(card)} - told_in(FACTS) - said_by_the_template() == set()


def test_the_table_of_scores_holds_the_files_numbers_cell_by_cell() -> None:
    """Not only somewhere in it: each in its own row and column."""
    told = json.loads(as_json(FACTS))["evaluation"]
    rows = markdown.read(rendered(FACTS)).table("metric")[1:]

    for row, facts in zip(rows, [told["average"], *told["rows"]], strict=True):
        assert row[:2] == [facts["name"], f"{facts['baseline']:.2f}"]
        for cell, score in zip(row[2:], facts["variants"], strict=True):
            assert numbers_of(cell) == [
                f"{score['overall']:.2f}",
                f"{abs(score['difference']):.2f}",
                "95",
                f"{abs(score['low']):.2f}",
                f"{abs(score['high']):.2f}",
            ]


def test_recovery_is_the_score_over_the_16_bit_models() -> None:
    """Computed here again, from the file's own numbers."""
    told = json.loads(as_json(FACTS))["evaluation"]
    rows = markdown.read(rendered(FACTS)).table("recovered of the 16-bit score")[1:]

    for row, facts in zip(rows, [told["average"], *told["rows"]], strict=True):
        assert row[1:] == [
            f"{100 * score['overall'] / facts['baseline']:.2f}%" for score in facts["variants"]
        ]


def test_the_metadata_holds_the_released_variants_scores() -> None:
    """What the Hub shows is what the card says."""
    told = json.loads(as_json(FACTS))["evaluation"]
    index = markdown.read(rendered(FACTS)).metadata["model-index"][0]["results"]

    assert [each["metrics"][0]["value"] for each in index] == [
        round(row["variants"][0]["overall"], 2) for row in told["rows"]
    ]


@pytest.mark.parametrize("better", [0.0, 1.0])
def test_another_number_makes_another_card(better: float) -> None:
    """Nothing is printed that was not asked of the facts."""
    rows = {"A": (50.0, 51.0 + better), "B": (60.0, 60.5)}
    facts = release_facts(evaluation=evaluation_facts(rows, ("pile",)))
    page = markdown.read(rendered(facts))

    assert page.table("metric")[1][2].startswith(f"{55.75 + better / 2:.2f} ")
