"""The card's table: the same numbers as records, as Markdown, and as JSON."""

import pytest

from infra.errors import ComparisonError, DifferentBaselinesError
from infra.evaluation.compared import Comparison
from infra.evaluation.comparison import compare
from infra.evaluation.tables import Cell, FlipCell, ResultsTable, results, scores
from infra.evaluation.wording import DOWN, ELLIPSIS, MINUS, UP
from tests.support.scores import (
    a_comparison,
    a_task,
    by_name,
    circular,
    single,
)

ENGINE = "transformers 5.23.0, float32"
BEFORE = by_name(
    circular([[True, True], [True, True], [False, True]], name="Round"), single([1, 1, 0, 1])
)
AFTER = by_name(
    circular([[True, True], [True, False], [True, True]], name="Round"), single([1, 0, 0, 1])
)


def measured() -> Comparison:
    """Return a comparison with few resamples."""
    return compare(BEFORE, AFTER, resamples=99)


def test_a_cell_holds_its_difference_and_interval() -> None:
    """A number without them invites to read noise."""
    cell = Cell(overall=79.642, difference=-0.857, low=-2.44, high=0.71)

    assert cell.text == f"79.64 ({MINUS}0.86, 95% {MINUS}2.4{ELLIPSIS}+0.7)"


def test_a_cell_of_the_baseline_is_a_number() -> None:
    """It is compared with nothing."""
    assert Cell(overall=80.498).text == "80.50"


def test_flips_are_told_apart() -> None:
    """The sum, then how many fell and how many rose."""
    assert FlipCell(down=3.04, up=2.06).text == f"5.1% ({DOWN}3.0 {UP}2.1)"


def test_the_average_comes_first_and_the_16_bit_model_stands_left() -> None:
    """Rows and columns are those of the reference card."""
    rows = results({"pile": measured(), "llava": measured()}, engine=ENGINE).rows()

    assert [list(row) for row in rows] == [["task", "16bits", "pile", "llava"]] * 3
    assert [row["task"] for row in rows] == ["avg", "Round", "Single"]
    assert [row["16bits"] for row in rows] == ["70.83", "66.67", "75.00"]
    assert [row["pile"].split()[:2] for row in rows] == [
        ["58.33", f"({MINUS}12.50,"],
        ["66.67", "(0.00,"],
        ["50.00", f"({MINUS}25.00,"],
    ]


def test_flips_have_a_table_of_their_own() -> None:
    """One row a benchmark, one column a variant; the baseline has none."""
    rows = results({"pile": measured()}, engine=ENGINE).flip_rows()

    assert rows == [
        {"task": "Round", "pile": f"66.7% ({DOWN}33.3 {UP}33.3)"},
        {"task": "Single", "pile": f"25.0% ({DOWN}25.0 {UP}0.0)"},
    ]


def test_the_average_is_not_that_of_rounded_rows() -> None:
    """66.666... and 75 give 70.83; the unrounded numbers are kept."""
    table = results({"pile": measured()}, engine=ENGINE)

    assert table.columns[0].cells[0].overall == pytest.approx((200 / 3 + 75) / 2)


def test_the_footnote_says_how_it_was_measured() -> None:
    """Rules, engine, rows, and that no judge had a say."""
    footnote = results({"pile": measured()}, engine=ENGINE).footnote

    assert footnote == (
        "Rules vlmevalkit-7de2dcb, no judge model; answered by transformers 5.23.0, float32; rows: "
        "Round 6 (3 circular questions), Single 4. avg is the mean of the unrounded rows. "
        "Differences are paired by question; intervals are of a clustered bootstrap (99 resamples, "
        "seed 42)."
    )


def test_markdown_holds_both_tables_and_the_footnote() -> None:
    """It is what a card and a report paste."""
    comparison = a_comparison(a_task(before=87.5, after=88.0, flips=(10, 20)))

    page = results({"pi|e": comparison}, engine=ENGINE).markdown()

    assert page.splitlines()[:10] == [
        "| task | 16bits | pi\\|e |",
        "| --- | --- | --- |",
        f"| avg | 80.00 | 80.00 (0.00, 95% {MINUS}0.6{ELLIPSIS}+0.6) |",
        f"| POPE | 87.50 | 88.00 (+0.50, 95% {MINUS}0.5{ELLIPSIS}+1.5) |",
        "",
        f"Answers that changed ({DOWN} right to wrong, {UP} wrong to right):",
        "",
        "| task | pi\\|e |",
        "| --- | --- |",
        f"| POPE | 3.0% ({DOWN}1.0 {UP}2.0) |",
    ]
    assert "Rules vlmevalkit-7de2dcb" in page.splitlines()[-1]


def test_a_table_survives_json() -> None:
    """It is written into reports and read again."""
    table = results({"pile": measured()}, engine=ENGINE)

    assert ResultsTable.model_validate_json(table.model_dump_json()) == table


def test_scores_alone_make_a_table_too() -> None:
    """Where nothing is compared there are no differences, and no flips."""
    table = scores({"exports/a": BEFORE, "exports/b": AFTER}, engine=ENGINE)

    assert table.rows()[0] == {"task": "avg", "exports/a": "70.83", "exports/b": "58.33"}
    assert "Answers that changed" not in table.markdown()
    assert table.flip_rows() == []
    assert table.footnote.endswith("Round 6 (3 circular questions), Single 4. avg is the mean of "
                                   "the unrounded rows.")  # fmt: skip


def test_comparisons_with_other_baselines_make_no_table() -> None:
    """There is one 16-bit column."""
    with pytest.raises(DifferentBaselinesError, match="pile and llava"):
        results(
            {"pile": a_comparison(a_task(before=80)), "llava": a_comparison(a_task(before=81))},
            engine=ENGINE,
        )


def test_no_comparison_makes_no_table() -> None:
    """The 16-bit model alone is a matter of `scores`."""
    with pytest.raises(DifferentBaselinesError, match="at least one variant"):
        results({}, engine=ENGINE)


def test_a_variant_may_not_take_the_place_of_the_baseline() -> None:
    """Its column would hide the one that it is compared with."""
    with pytest.raises(ComparisonError, match="'16bits'"):
        results({"16bits": a_comparison()}, engine=ENGINE)


@pytest.mark.parametrize("other", [by_name(single([1, 1, 0])), by_name(single([1], name="Two"))])
def test_scores_of_other_rows_make_no_table(other: dict) -> None:
    """Numbers side by side are compared, whatever a footnote says."""
    with pytest.raises(ComparisonError, match="a, b"):
        scores({"a": by_name(single([1, 1, 0, 1])), "b": other}, engine=ENGINE)


def test_no_scores_make_no_table() -> None:
    """An empty table would be read as a result."""
    with pytest.raises(ComparisonError, match="no model"):
        scores({}, engine=ENGINE)
