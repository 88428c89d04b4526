"""The rows of the card fit together, or there is no card."""

import pytest
from pydantic import ValidationError

from infra.card.scores import EvaluationFacts
from tests.support.card import REFERENCE, evaluation_facts

AS_PRINTED = 83.82
"""The average that the reference card prints for pile; its rows give 83.8425."""


def changed(told: EvaluationFacts, **changes: object) -> EvaluationFacts:
    """Return the facts with changes, checked as those of a file are."""
    return EvaluationFacts.model_validate(told.model_dump() | changes)


def test_the_average_is_the_mean_of_the_rows() -> None:
    """The reference card's own rows give 83.92, 83.84 and 83.42."""
    average = evaluation_facts().average

    assert f"{average.baseline:.2f}" == "83.92"
    assert [f"{each.overall:.2f}" for each in average.variants] == ["83.84", "83.42"]


def test_the_average_that_the_reference_card_prints_is_refused() -> None:
    """83.82 is not the mean of 79.64, 83.88, 84.28 and 87.57."""
    told = evaluation_facts()
    average = told.average.model_dump()
    average["variants"][0]["overall"] = AS_PRINTED

    with pytest.raises(ValidationError, match=r"average of pile is given as 83.82, .* 83.84"):
        changed(told, average=average)


def test_an_average_of_the_16_bit_model_is_held_to_the_same() -> None:
    """Its column has rows, too."""
    told = evaluation_facts()

    with pytest.raises(ValidationError, match=r"average of the 16-bit model is given as 80"):
        changed(told, average=told.average.model_dump() | {"baseline": 80.0})


def test_rows_have_the_same_columns() -> None:
    """One variant that is missing in a row would shift all cells behind it."""
    told = evaluation_facts()
    rows = [row.model_dump() for row in told.rows]
    rows[2]["variants"] = rows[2]["variants"][:1]

    with pytest.raises(ValidationError, match="different columns than pile, llava"):
        changed(told, rows=rows)


def test_rows_are_those_of_the_benchmarks() -> None:
    """In their order, because the card tells of both line by line."""
    told = evaluation_facts()

    with pytest.raises(ValidationError, match=f"not those of {', '.join(REFERENCE)}"):
        changed(told, rows=told.model_dump()["rows"][::-1])


def test_every_variant_has_its_verdict() -> None:
    """A column without one would look as if it had passed."""
    with pytest.raises(ValidationError, match="one verdict a variant"):
        changed(evaluation_facts(), verdicts=())


def test_a_row_and_a_verdict_are_found_by_name() -> None:
    """The average is the first row of the table."""
    told = evaluation_facts()

    assert [row.name for row in told.table] == ["avg", *REFERENCE]
    assert told.rows[0].score("llava").overall == REFERENCE["MMBench_DEV_EN_V11"][2]
    assert told.outcome("llava") == "pass"
