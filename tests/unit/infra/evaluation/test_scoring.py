"""Scores: every row judged, rotations together, and no number for a part of a benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import ForeignPredictionsError, MissingPredictionsError, NotCircularError
from infra.evaluation.benchmark import Benchmark
from infra.evaluation.question import ROTATION, Question, Table
from infra.evaluation.rules import rule_set
from infra.evaluation.scored import Detection, Scored, ScoredGroup, ScoredRow
from infra.evaluation.scoring import score

RULES = rule_set("vlmevalkit-7de2dcb")
LATER = rule_set("vlmevalkit-e8e78f05")
PLAIN = Question(
    index=0, text="?", hint=None, options=(), answer="", answers=(), categories=(),
    l2_category=None, split=None, image="p",
)  # fmt: skip
CIRCULAR = Benchmark(name="Turns", kind="mcq", circular=True, cluster="group")


def table(
    benchmark: Benchmark, questions: Sequence[Question], notes: tuple[str, ...] = ()
) -> Table:
    """Return a table of these questions."""
    return Table(
        benchmark=benchmark,
        questions=tuple(questions),
        images={},
        sha256="d" * 64,
        rows=len(questions),
        dropped=0,
        notes=notes,
    )


def choices(*indices: int, answer: str = "A", categories: Mapping[int, str] = {}) -> list[Question]:
    """Return multiple-choice questions about a cat and a dog."""
    options = (("A", "cat"), ("B", "dog"))
    return [
        replace(
            PLAIN, index=index, options=options, answer=answer, image=f"p{index}",
            categories=(categories[index],) if index in categories else (),
        )
        for index in indices
    ]  # fmt: skip


def presence(rows: Sequence[tuple[str, tuple[str, ...]]]) -> Table:
    """Return yes/no questions of these answers and categories."""
    questions = [
        replace(PLAIN, index=index, answer=answer, categories=categories)
        for index, (answer, categories) in enumerate(rows)
    ]
    return table(Benchmark(name="Presence", kind="yes_no"), questions)


def test_multiple_choice_row_by_row() -> None:
    """What was said, what was read, and what it is worth, by index whatever the file's order."""
    asked = table(Benchmark(name="Pets", kind="mcq"), choices(7, 3, 5), notes=("a note",))
    scored = score(asked, {3: "A.", 5: "a dog", 7: "who knows"}, RULES, capped=[7])

    assert scored.rows == (
        ScoredRow(index=3, prediction="A.", extracted="A", score=1, cluster="p3"),
        ScoredRow(index=5, prediction="a dog", extracted="B", score=0, cluster="p5"),
        ScoredRow(
            index=7, prediction="who knows", extracted=None, score=0, cluster="p7", capped=True
        ),
    )
    assert (scored.benchmark, scored.kind, scored.circular) == ("Pets", "mcq", False)
    assert (scored.rules, scored.table_sha256) == (RULES.name, "d" * 64)
    assert (scored.groups, scored.notes) == ((), ("a note",))
    report = scored.report
    assert report.overall == report.unreadable == report.capped == pytest.approx(100 / 3)
    assert (report.vanilla, report.yes_share, report.detection) == (None, None, {})


def test_other_rules_can_give_other_scores() -> None:
    """The same answers, scored again: the result says by which rules."""
    asked = table(Benchmark(name="Pets", kind="mcq"), choices(0))
    said = {0: "A: it is what can be seen there"}

    assert [score(asked, said, rules).report.overall for rules in (RULES, LATER)] == [100, 0]
    assert score(asked, said, LATER).rules == LATER.name


def test_a_refusal_is_read_but_not_right() -> None:
    """Z is not unreadable: something was read, and it is no option."""
    asked = table(Benchmark(name="Pets", kind="mcq"), choices(0))
    scored = score(asked, {0: "I can't process this file."}, RULES)

    assert (scored.rows[0].extracted, scored.rows[0].score) == ("Z", 0)
    assert (scored.report.overall, scored.report.unreadable) == (0, 0)


def test_numbers_by_category_and_split() -> None:
    """Those that have one; splits are told where there are several."""
    first, second, third = choices(0, 1, 2, categories={0: "x", 1: "y"})
    questions = [
        replace(first, split="dev", l2_category="z"), replace(second, split="dev"),
        replace(third, split="val"),
    ]  # fmt: skip
    benchmark = Benchmark(name="Pets", kind="mcq")
    said = {0: "A", 1: "B", 2: "A"}
    report = score(table(benchmark, questions), said, RULES).report
    one_split = score(table(benchmark, [first, second, third]), said, RULES).report

    assert report.categories == {"x": 100, "y": 0}
    assert report.l2_categories == {"z": 100}
    assert report.splits == {"dev": 50, "val": 100}
    assert one_split.splits == {}


def test_a_circular_question_is_right_if_all_rotations_are() -> None:
    """One wrong or unreadable rotation makes it wrong; categories are those of the first row."""
    turned = [1 + ROTATION, 2 + ROTATION, 2 + 2 * ROTATION]
    questions = choices(0, 1, 2, *turned, categories={0: "x", 1: "x", 2: "y", 1 + ROTATION: "y"})
    said = {0: "A", 1: "A", 2: "A", turned[0]: "A", turned[1]: "who knows", turned[2]: "A"}
    scored = score(table(CIRCULAR, questions), said, RULES)

    assert scored.groups == tuple(ScoredGroup(group=n, score=n < 2) for n in range(3))
    assert scored.report.overall == pytest.approx(200 / 3)
    assert scored.report.vanilla == pytest.approx(500 / 6)
    assert scored.report.categories == {"x": 100, "y": 0}
    assert [row.cluster for row in scored.rows] == ["0", "1", "2", "1", "2", "2"]


def test_rotations_without_their_first_row_do_not_count() -> None:
    """As in VLMEvalKit, which looks for groups by their first rows; it is said."""
    scored = score(table(CIRCULAR, choices(0, 5 + ROTATION)), {0: "A", 5 + ROTATION: "B"}, RULES)

    assert (scored.report.overall, scored.report.vanilla) == (100, 50)
    assert len(scored.groups) == 1
    assert "1 questions do not count" in scored.notes[0]


def test_rotations_alone_have_no_score() -> None:
    """A mean over nothing is refused, with the way out."""
    with pytest.raises(NotCircularError, match="--no-circular"):
        score(
            table(CIRCULAR, choices(ROTATION, ROTATION + 1)),
            {ROTATION: "A", ROTATION + 1: "A"},
            RULES,
        )


def test_f1_counts_each_row_once_a_category() -> None:
    """Over the rows so repeated, which is not the mean of the categories' F1."""
    asked = presence([("Yes", ("a", "b")), ("No", ("a",)), ("Yes", ("b",)), ("No", ())])
    scored = score(asked, {0: "yes", 1: "Yes.", 2: "no", 3: "who knows"}, RULES)
    detection = scored.report.detection

    # Repeated: row 0 twice (hit), row 1 (false alarm), row 2 (missed), row 3 (counts as No).
    third = 200 / 3
    assert detection["Overall"].model_dump() == pytest.approx(
        {"f1": third, "acc": 40, "precision": third, "recall": third}
    )
    assert detection["a"].model_dump() == pytest.approx(
        {"f1": third, "acc": 50, "precision": 50, "recall": 100}
    )
    assert detection["b"].model_dump() == pytest.approx(
        {"f1": third, "acc": 50, "precision": 100, "recall": 50}
    )
    assert scored.report.overall == detection["Overall"].f1
    assert scored.report.categories == {"a": detection["a"].f1, "b": detection["b"].f1}
    assert (scored.report.yes_share, scored.report.unreadable) == (50, 25)
    assert [row.weight for row in scored.rows] == [2, 1, 1, 1]
    assert [row.truth for row in scored.rows] == ["Yes", "No", "Yes", "No"]


def test_unknown_is_no_in_f1_but_wrong_in_accuracy() -> None:
    """Never saying Yes is no division by zero."""
    report = score(presence([("No", ()), ("No", ())]), {0: "no", 1: "who knows"}, RULES).report

    assert report.detection["Overall"] == Detection(f1=0, acc=50, precision=0, recall=0)


def test_open_answers_are_worth_a_share() -> None:
    """Read in their normal form; a cell that is no list is worth nothing."""
    stop = replace(PLAIN, index=0, answers=("Stop.", "stop", *["halt"] * 8))
    bare = replace(PLAIN, index=1, answer="stop")
    asked = table(Benchmark(name="Reading", kind="vqa"), [stop, bare])
    scored = score(asked, {0: "The STOP", 1: "stop"}, RULES)

    assert [(row.extracted, row.score) for row in scored.rows] == [("stop", 0.6), ("stop", 0)]
    assert scored.report.overall == 30
    assert score(asked, {0: "the", 1: "stop"}, RULES).report.unreadable == 50


def test_a_missing_row_refuses_a_score() -> None:
    """How many, and which."""
    asked = table(Benchmark(name="Pets", kind="mcq"), choices(*range(9)))

    with pytest.raises(
        MissingPredictionsError, match=r"7 of the 9 .* Pets .*\(index 0, 3, 4, 5, 6"
    ):
        score(asked, {1: "A", 2: "A"}, RULES)


def test_a_foreign_row_refuses_a_score() -> None:
    """Answers to another table are not dropped in silence."""
    asked = table(Benchmark(name="Pets", kind="mcq"), choices(0))

    with pytest.raises(ForeignPredictionsError, match=r"2 predictions .*\(index 4, 5\)"):
        score(asked, {0: "A", 5: "B", 4: "A"}, RULES)


def test_what_was_written_can_be_read_again() -> None:
    """`compare` reads what `score` wrote, to the last digit."""
    scored = score(presence([("Yes", ("a",)), ("No", ())]), {0: "yes", 1: "?"}, RULES)
    text = scored.model_dump_json(by_alias=True)

    assert '"Overall":' in text
    assert Scored.model_validate_json(text) == scored


said = st.sampled_from(["A", "B", "cat", "who knows", "Z"])


@settings(max_examples=50)
@given(answers=st.lists(said, min_size=1, max_size=30), seed=st.integers(0, 99))
def test_the_order_of_rows_has_no_say(answers: list[Any], seed: int) -> None:
    """Not in a single digit, and no score leaves its range."""
    questions = choices(*(n % 7 + n // 7 * ROTATION for n in range(len(answers))))
    predictions = {q.index: text for q, text in zip(questions, answers, strict=True)}
    scored = score(table(CIRCULAR, questions), predictions, RULES)
    shuffled = Random(seed).sample(questions, len(questions))

    assert score(table(CIRCULAR, shuffled), predictions, RULES) == scored
    assert scored.report.vanilla is not None
    assert 0 <= scored.report.overall <= 100
    assert 0 <= scored.report.vanilla <= 100
