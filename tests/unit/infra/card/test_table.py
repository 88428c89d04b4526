"""The card's rows are the comparison's own numbers, in full."""

from infra.card.scores import EvaluationFacts
from infra.card.table import average_row, benchmark_facts, score_rows
from infra.evaluation.comparison import compare
from tests.support.card import a_verdict
from tests.support.scores import by_name, circular, single, yes_no

BEFORE = by_name(
    circular([[True, True], [True, True], [False, True]], name="Round"),
    single([1, 1, 0, 1]),
    yes_no([("Yes", "Yes"), ("No", "No"), ("Yes", "No")]),
)
AFTER = by_name(
    circular([[True, True], [True, False], [True, True]], name="Round"),
    single([1, 0, 0, 1]),
    yes_no([("Yes", "Yes"), ("No", "Yes"), ("Yes", "Yes")]),
)
NOTHING = by_name(single([0, 0, 0]))
COMPARED = {
    "pile": compare(BEFORE, AFTER, resamples=99),
    "llava": compare(BEFORE, BEFORE, resamples=99),
}


def test_rows_hold_what_was_compared() -> None:
    """Number, difference, interval and flips of each variant, unrounded."""
    rows = score_rows(COMPARED)
    task = COMPARED["pile"].tasks[1]
    score = rows[1].score("pile")

    assert [row.name for row in rows] == ["Round", "Single", "YesNo"]
    assert (rows[1].baseline, score.overall, score.difference) == (75.0, 50.0, -25.0)
    assert (score.low, score.high) == (task.interval.low, task.interval.high)
    assert (score.flips_down, score.flips_up) == (25.0, 0.0)
    assert score.recovery == 100 * 50.0 / 75.0


def test_the_average_is_checked_against_the_rows() -> None:
    """What is computed from real comparisons makes facts without a complaint."""
    first = COMPARED["pile"]
    average = average_row(COMPARED)
    told = EvaluationFacts(
        rules=first.rules,
        engine={},
        image_path="direct",
        limit=None,
        seed=first.seed,
        resamples=first.resamples,
        benchmarks=tuple(benchmark_facts(task, 0, ()) for task in first.tasks),
        average=average,
        rows=score_rows(COMPARED),
        verdicts=[{"variant": name, "verdict": a_verdict()} for name in COMPARED],
    )

    assert told.average.baseline == first.average.baseline
    assert told.average.score("pile").flips_down is None


def test_a_benchmark_tells_what_its_number_is_and_on_how_many_questions() -> None:
    """A circular question counts once, with all of its rows."""
    told = [benchmark_facts(task, 2, ["a note"]) for task in COMPARED["pile"].tasks]

    assert [(each.metric, each.rows, each.questions) for each in told] == [
        ("circular accuracy", 6, 3),
        ("accuracy", 4, 4),
        ("F1", 3, 3),
    ]
    assert (told[0].dropped, told[0].notes) == (2, ("a note",))


def test_nothing_is_recovered_of_nothing() -> None:
    """A 16-bit model without a right answer has no share."""
    compared = {"pile": compare(NOTHING, NOTHING, resamples=99)}

    assert score_rows(compared)[0].score("pile").recovery is None
