"""Two models on the same questions: what is counted, and what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import (
    ComparisonError,
    DifferentRowsError,
    DifferentRulesError,
    DifferentTablesError,
    DifferentTasksError,
    InconsistentScoresError,
)
from infra.evaluation.compared import Comparison
from infra.evaluation.comparison import compare
from infra.evaluation.scored import Scored
from tests.support.scores import by_name, circular, single, yes_no

answers = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=10)
WORDS = {True: "Yes", False: "No"}


def both(pairs: list[tuple[bool, bool]], side: int) -> dict[str, Scored]:
    """Return the same rights and wrongs as two benchmarks of different kinds."""
    right = [pair[side] for pair in pairs]
    said = [("Yes" if place % 2 else "No", hit) for place, hit in enumerate(right)]
    spoken = [(truth, WORDS[(truth == "Yes") == hit]) for truth, hit in said]
    return by_name(single(list(map(float, right))), yes_no(spoken))


def alone(baseline: Scored, candidate: Scored, *, resamples: int = 199) -> Comparison:
    """Compare one benchmark."""
    return compare(by_name(baseline), by_name(candidate), resamples=resamples)


def test_what_is_known_of_one_benchmark() -> None:
    """Both numbers, the difference, flips both ways, and exact p values."""
    task = alone(single([1, 1, 1, 0, 1]), single([0, 1, 0, 1, 0])).tasks[0]

    assert (task.baseline.overall, task.candidate.overall, task.difference) == (80, 40, -40)
    assert (task.flips.down, task.flips.up, task.flips.units, task.flips.rate) == (3, 1, 5, 80)
    assert (task.flips.down_rate, task.flips.up_rate) == (60, 20)
    assert (task.rows, task.clusters) == (5, 5)
    assert (task.test, task.p_value, task.p_worse) == ("mcnemar", 0.625, 0.3125)


def test_a_circular_question_flips_once() -> None:
    """However many of its rotations change."""
    before = circular([[True, True, True], [True, True, False]])
    after = circular([[False, False, True], [True, True, True]])

    flips = alone(before, after).tasks[0].flips

    assert (flips.down, flips.up, flips.units) == (1, 1, 2)


def test_an_answer_that_is_worth_less_is_a_flip() -> None:
    """Open answers are right in thirds; what fewer annotators gave is worse."""
    before, after = single([0.9, 1, 0], kind="vqa"), single([0.6, 1, 0.3], kind="vqa")

    task = alone(before, after).tasks[0]

    assert (task.flips.down, task.flips.up, task.test) == (1, 1, "bootstrap")


def test_the_shares_of_both_models_stand_side_by_side() -> None:
    """A shift of the share of Yes is seen, though it may even raise F1."""
    before = yes_no([("Yes", "Yes"), ("Yes", "No"), ("No", "No"), ("No", "Unknown")])
    after = yes_no([("Yes", "Yes"), ("Yes", "Yes"), ("No", "Yes"), ("No", "No")])

    task = alone(before, after).tasks[0]

    assert (task.baseline.yes_share, task.candidate.yes_share) == (25, 75)
    assert (task.baseline.unreadable, task.candidate.unreadable) == (25, 0)
    assert (task.baseline.overall, task.candidate.overall) == pytest.approx((200 / 3, 80))


def test_the_average_is_the_mean_of_its_rows() -> None:
    """Each benchmark counts the same, however many rows it has."""
    before = by_name(single([1, 1, 1, 0], name="Long"), single([1, 0], name="Short"))
    after = by_name(single([1, 1, 1, 1], name="Long"), single([0, 0], name="Short"))

    average = compare(before, after, resamples=99).average

    assert (average.baseline, average.candidate, average.difference) == (62.5, 50, -12.5)


def test_the_average_of_the_reference_card() -> None:
    """Its rows 79.64, 83.88, 84.28 and 87.57 give 83.84, and not the 83.82 that it prints."""
    parts = by_name(
        single([1] * 1025 + [0] * 262, name="MMBench_DEV_EN_V11"),
        single([1] * 1759 + [0] * 338, name="ScienceQA_VAL"),
        single([1] * 4214 + [0] * 786, name="TextVQA_VAL", kind="vqa"),
        yes_no(
            [("Yes", "Yes"), ("No", "Yes"), ("Yes", "No")], weights=[8757, 1243, 1243], name="POPE"
        ),
    )

    found = compare(parts, parts, resamples=9)

    rounded = [f"{task.baseline.overall:.2f}" for task in found.tasks]
    assert (rounded, f"{found.average.candidate:.2f}") == (
        ["79.64", "83.88", "84.28", "87.57"],
        "83.84",
    )


@given(answers)
@settings(max_examples=30, deadline=None)
def test_a_model_does_not_differ_from_itself(pairs: list[tuple[bool, bool]]) -> None:
    """The control of every release: difference 0, interval 0, no flips, p 1."""
    model = both(pairs, 0)

    found = compare(model, model, resamples=49)

    bounds = {found.average.interval, *(task.interval for task in found.tasks)}
    assert {tuple(one.model_dump().values()) for one in bounds} == {(0, 0, 0, 0)}
    assert {task.p_worse_holm for task in found.tasks} == {1}
    assert found.average.difference == 0


@given(answers)
@settings(max_examples=30, deadline=None)
def test_swapping_the_models_negates_everything(pairs: list[tuple[bool, bool]]) -> None:
    """What one has lost, the other has gained, with the same certainty."""
    there = compare(both(pairs, 0), both(pairs, 1), resamples=49)
    back = compare(both(pairs, 1), both(pairs, 0), resamples=49)

    assert there.average.difference == pytest.approx(-back.average.difference)
    for one, other in zip(there.tasks, back.tasks, strict=True):
        assert (one.difference, one.interval.low) == pytest.approx(
            (-other.difference, -other.interval.high)
        )
        assert (one.flips.down, one.p_value) == (other.flips.up, pytest.approx(other.p_value))


def test_an_interval_does_not_depend_on_other_benchmarks() -> None:
    """Each has its own stream of random numbers, which its name begins."""
    before, after = single([1, 0, 1, 1, 0, 1]), single([0, 1, 1, 1, 0, 0])
    more = single([1, 0], name="More")

    with_more = compare(by_name(more, before), by_name(more, after), resamples=99).tasks[1]

    assert with_more.interval == alone(before, after, resamples=99).tasks[0].interval


def test_benchmarks_are_drawn_independently() -> None:
    """Two benchmarks with the same answers do not move together in the average."""
    pairs = [(1.0, 0.0), (0.0, 1.0)] * 20
    before, after = (
        by_name(*(single([pair[side] for pair in pairs], name=name) for name in "AB"))
        for side in (0, 1)
    )

    found = compare(before, after, resamples=999)

    narrower = found.average.interval.high / found.tasks[0].interval.high
    assert narrower == pytest.approx(0.5**0.5, abs=0.1)


def test_p_values_are_adjusted_for_all_benchmarks() -> None:
    """Three losses in three flips: p = 1/8, and twice that where two benchmarks are tested."""
    before, after = single([1, 1, 1, 1]), single([0, 0, 0, 1])
    still = single([1, 0], name="Still")

    task = compare(by_name(before, still), by_name(after, still), resamples=9).tasks[0]

    assert (task.p_worse, task.p_worse_holm) == (0.125, 0.25)


def test_a_comparison_survives_json() -> None:
    """It is written into reports and read again."""
    found = alone(single([1, 0]), single([1, 1]), resamples=9)

    assert Comparison.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("baseline", "candidate", "words"),
    [
        ({}, {}, "of no benchmark"),
        (by_name(single([1])), {}, "candidate of no benchmark"),
        (by_name(single([1])), by_name(single([1], name="Two")), "of Single, the candidate of Two"),
    ],
)
def test_other_benchmarks_are_refused(
    baseline: dict[str, Scored], candidate: dict[str, Scored], words: str
) -> None:
    """An average over other benchmarks is another number."""
    with pytest.raises(DifferentTasksError, match=words):
        compare(baseline, candidate)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"rules": "vlmevalkit-e8e78f05"}, DifferentRulesError, "vlmevalkit-e8e78f05.*candidate"),
        ({"circular": True}, DifferentRulesError, "mcq, circular for the candidate"),
        ({"kind": "vqa"}, DifferentRulesError, "Single are counted by other rules"),
        ({"table_sha256": "cd" * 32}, DifferentTablesError, "abababababab and cdcdcdcdcdcd"),
        ({"rows": single([1, 0, 1]).rows}, DifferentRowsError, "row 2 is answered by one alone"),
        (
            {"rows": single([1, 0], clusters=["x", "y"]).rows},
            DifferentRowsError,
            "row 0 is described otherwise",
        ),
    ],
)
def test_results_that_do_not_fit_together_are_refused(
    change: dict[str, object], error: type[ComparisonError], words: str
) -> None:
    """Each with its own error, which names the benchmark and both sides."""
    scored = single([1, 0])

    with pytest.raises(error, match=words):
        alone(scored, scored.model_copy(update=change))


def test_groups_of_one_alone_are_refused() -> None:
    """The rows are the same, and yet the questions differ."""
    scored = circular([[True], [False]])
    changed = scored.model_copy(update={"groups": scored.groups[:1]})

    with pytest.raises(DifferentRowsError, match="group 1 is scored for one alone"):
        alone(scored, changed)


def test_benchmarks_by_several_rule_sets_are_refused() -> None:
    """Their average would have no name."""
    one = single([1])
    other = single([1], name="Two").model_copy(update={"rules": "vlmevalkit-e8e78f05"})

    with pytest.raises(DifferentRulesError, match="several rule sets"):
        compare(by_name(one, other), by_name(one, other))


def test_scores_that_were_changed_are_refused() -> None:
    """A report that its rows do not give cannot have an interval."""
    scored = single([1, 0])
    changed = scored.model_copy(
        update={"report": scored.report.model_copy(update={"overall": 90.0})}
    )

    with pytest.raises(InconsistentScoresError, match=r"Single .*90\.00"):
        alone(scored, changed)
