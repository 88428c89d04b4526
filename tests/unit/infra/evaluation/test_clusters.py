"""What is drawn, and that the number of the table follows from it."""

import pytest

from infra.errors import InconsistentScoresError
from infra.evaluation.benchmark import Benchmark
from infra.evaluation.clusters import cluster_sums, units
from infra.evaluation.question import ROTATION, Question, Table
from infra.evaluation.rules import DEFAULT_RULES, rule_set
from infra.evaluation.scored import Scored
from infra.evaluation.scoring import score
from tests.support.scores import circular, single, yes_no


def a_question(index: int, *, answer: str, categories: tuple[str, ...] = ()) -> Question:
    """Return a question on the image that its index names, three to an image."""
    return Question(
        index=index,
        text="What is it?",
        hint=None,
        options=(("A", "a dog"), ("B", "a cat")),
        answer=answer,
        answers=("dog", "dog", "cat"),
        categories=categories,
        l2_category=None,
        split=None,
        image=f"image {index % ROTATION // 3}",
    )


def answered(benchmark: Benchmark, questions: list[Question], predictions: list[str]) -> Scored:
    """Score predictions, given in the order of the questions."""
    table = Table(benchmark, tuple(questions), {}, "ab" * 32, len(questions), 0)
    by_index = {one.index: said for one, said in zip(questions, predictions, strict=True)}
    return score(table, by_index, rule_set(DEFAULT_RULES))


def number(scored: Scored) -> float:
    """Return the number that follows from the sums over all clusters, in points."""
    found = cluster_sums(scored)
    return 100 * float(found.statistic(found.sums.sum(axis=0)))


def test_rows_on_one_image_are_one_cluster() -> None:
    """Scores and rows are summed by image, in the order of the images' first rows."""
    found = cluster_sums(single([1, 0, 0.3], clusters=["b", "a", "b"], kind="vqa"))

    assert (found.clusters, found.sums.tolist()) == (("b", "a"), [[1.3, 2], [0, 1]])


def test_a_circular_question_is_one_unit() -> None:
    """Its rotations are no rows of their own: they are right together or not at all."""
    scored = circular([[True, True], [True, False]])

    assert [(unit.key, unit.cluster, unit.score) for unit in units(scored)] == [
        (0, "0", 1),
        (1, "1", 0),
    ]
    assert cluster_sums(scored).sums.tolist() == [[1, 1], [0, 1]]


def test_a_yes_no_row_counts_once_for_each_category() -> None:
    """Hits, false alarms and misses are weighted; Unknown is a miss where Yes is right."""
    scored = yes_no(
        [("Yes", "Yes"), ("No", "Yes"), ("Yes", "Unknown"), ("No", "No")], weights=[3, 1, 2, 5]
    )

    assert cluster_sums(scored).sums.tolist() == [[3, 0, 0], [0, 1, 0], [0, 0, 2], [0, 0, 0]]


def test_rows_are_taken_by_index() -> None:
    """Two results of one benchmark have the same clusters in the same order."""
    scored = single([1, 0, 1])
    turned = scored.model_copy(update={"rows": scored.rows[::-1]})

    assert (cluster_sums(turned).clusters, units(turned)) == (
        cluster_sums(scored).clusters,
        units(scored),
    )


def test_what_scoring_reports_follows_from_the_sums_of_choices() -> None:
    """Multiple choice, row by row: the share of right answers."""
    questions = [a_question(index, answer="A") for index in range(5)]
    scored = answered(Benchmark(name="One", kind="mcq"), questions, ["A", "B", "a cat", "?", "A"])

    assert (number(scored), scored.report.overall) == (40, 40)


def test_what_scoring_reports_follows_from_the_sums_of_questions() -> None:
    """Circular multiple choice: the share of questions with every rotation right."""
    questions = [a_question(index, answer="A") for index in (1, 2, 1 + ROTATION, 2 + ROTATION)]
    benchmark = Benchmark(name="Round", kind="mcq", circular=True, cluster="group")

    scored = answered(benchmark, questions, ["A", "A", "A", "B"])

    assert (number(scored), scored.report.overall) == (50, 50)


def test_what_scoring_reports_follows_from_the_sums_of_detections() -> None:
    """Yes/no: F1 over rows that count once for each of their categories."""
    rows = [("Yes", ("x", "y", "z")), ("No", ("x",)), ("Yes", ("y", "z")), ("No", ())]
    questions = [
        a_question(index, answer=answer, categories=categories)
        for index, (answer, categories) in enumerate(rows)
    ]

    scored = answered(Benchmark(name="YN", kind="yes_no"), questions, ["Yes", "yes.", "?", "No"])

    assert (number(scored), scored.report.overall) == pytest.approx((200 / 3, 200 / 3))


def test_what_scoring_reports_follows_from_the_sums_of_open_answers() -> None:
    """Open answers: the mean of what they are worth."""
    questions = [a_question(index, answer="[...]") for index in range(4)]

    scored = answered(Benchmark(name="Open", kind="vqa"), questions, ["dog", "cat", "cow", "Dog."])

    assert number(scored) == pytest.approx(scored.report.overall)
    assert 0 < scored.report.overall < 100


def test_a_report_of_other_rows_is_refused() -> None:
    """An interval must be that of the number that is shown."""
    scored = single([1, 0])
    report = scored.report.model_copy(update={"overall": 51.0})

    with pytest.raises(InconsistentScoresError, match=r"report says 51\.00, but its rows give 50"):
        cluster_sums(scored.model_copy(update={"report": report}))


def test_a_group_without_rows_is_refused() -> None:
    """Nothing says which cluster it would belong to."""
    scored = circular([[True], [True]])

    with pytest.raises(InconsistentScoresError, match="group 1 has no row"):
        units(scored.model_copy(update={"rows": scored.rows[:1]}))


def test_a_yes_no_row_must_say_what_is_right() -> None:
    """F1 cannot be counted from right and wrong alone."""
    scored = yes_no([("Yes", "Yes")])
    rows = (scored.rows[0].model_copy(update={"truth": None}),)

    with pytest.raises(InconsistentScoresError, match="row 0 does not say"):
        cluster_sums(scored.model_copy(update={"rows": rows}))


def test_a_result_without_rows_is_refused() -> None:
    """A mean over nothing is no number."""
    with pytest.raises(InconsistentScoresError, match="nothing is scored"):
        cluster_sums(single([1]).model_copy(update={"rows": ()}))
