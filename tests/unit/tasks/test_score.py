"""From answers in the store to scores, a comparison and a verdict: never from a part of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.errors import (
    DifferentRowsError,
    DifferentTasksError,
    ForeignPredictionsError,
    MissingPredictionsError,
    UnknownRulesError,
)
from infra.evaluation.answerlines import as_lines
from infra.evaluation.comparison import compare
from infra.evaluation.engine import Answer
from infra.evaluation.gate import judge
from infra.evaluation.question import Question
from infra.evaluation.rules import rule_set
from infra.evaluation.scoring import score
from infra.evaluation.table import read_table
from infra.evaluation.verdict import GateSpec
from infra.store import FolderStore
from tasks.evalspecs import AnswersRef, Divergence, FidelityReport, Judged, ScoredRef, TableRef
from tasks.score import evidence_of, judge_variant, read_scores, score_answers
from tests.support.examining import asking, demo_tables
from tests.support.places import place_at
from tests.support.scores import an_interval

MMBENCH, POPE = 0, 3


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[TableRef, ...]:
    """Return the demo benchmarks."""
    return demo_tables(tmp_path_factory.mktemp("tables"))


def right(table: TableRef) -> dict[int, str]:
    """Return the right answer to every question, as a model might put it."""

    def put(question: Question) -> str:
        return question.answers[0] if question.answers else f"{question.answer}."

    return {
        q.index: put(q) for q in read_table(table.path, table.benchmark, images=False).questions
    }


def stored(
    store: FolderStore, table: TableRef, said: Mapping[int, str], *, capped: frozenset[int]
) -> AnswersRef:
    """Put answers into a store, as a shard leaves them."""
    lines = as_lines({i: Answer(i, text, 1, i in capped) for i, text in said.items()})
    return AnswersRef(
        benchmark=table.benchmark.name,
        ref=store.put_bytes(lines),
        engine={},
        computed=len(said),
        reused=0,
        seconds=1.0,
    )


def scored(
    root: Path,
    table: TableRef,
    *parts: Mapping[int, str],
    capped: frozenset[int] = frozenset(),
    **asked: object,
) -> ScoredRef:
    """Score answers that lie in as many shards as there are parts."""
    store = FolderStore(root)
    refs = tuple(stored(store, table, part, capped=capped) for part in parts)
    return score_answers.fn(table, refs, asking(table.path.parent, **asked), place_at(root))


def test_right_answers_score_100(tables: tuple[TableRef, ...], tmp_path: Path) -> None:
    """On every kind of benchmark, and every row is counted."""
    for table in tables:
        told = scored(tmp_path, table, right(table))
        assert (told.benchmark, told.rows) == (table.benchmark.name, table.questions)
        assert told.overall == pytest.approx(100)


def test_what_is_stored_is_the_pure_score(tables: tuple[TableRef, ...], tmp_path: Path) -> None:
    """Every row with what was read in it, by the asked rules, and which answers were cut."""
    table = tables[POPE]
    said = right(table) | {1: "Maybe.", 2: "No, there is not."}
    for rules in ("vlmevalkit-7de2dcb", "vlmevalkit-e8e78f05"):
        told = scored(tmp_path, table, said, capped=frozenset({2, 5}), rules=rules)

        found = read_scores(FolderStore(tmp_path), [told])["POPE"]
        plain = read_table(table.path, table.benchmark, images=False)
        assert found == score(plain, said, rule_set(rules), {2, 5})
        assert told.overall == found.report.overall < 100
        assert found.rules == rules
        assert [row.index for row in found.rows if row.capped] == [2, 5]


def test_shards_are_scored_together(tables: tuple[TableRef, ...], tmp_path: Path) -> None:
    """However the answers are cut, it is one score, to the byte."""
    said = right(tables[MMBENCH])
    halves = [{i: text for i, text in said.items() if i % 2 == n} for n in (0, 1)]

    whole = scored(tmp_path, tables[MMBENCH], said)

    assert scored(tmp_path, tables[MMBENCH], *halves) == whole
    assert scored(tmp_path, tables[MMBENCH], *halves[::-1], {}) == whole


def test_a_missing_shard_has_no_score(tables: tuple[TableRef, ...], tmp_path: Path) -> None:
    """A mean over the rest would look like a result."""
    said = right(tables[POPE])
    half = {i: text for i, text in said.items() if i % 2}

    with pytest.raises(MissingPredictionsError, match="4 of the 8 rows of POPE"):
        scored(tmp_path, tables[POPE], half)


def test_an_answer_to_no_question_is_told(tables: tuple[TableRef, ...], tmp_path: Path) -> None:
    """It is of another table, or of another version of this one."""
    with pytest.raises(ForeignPredictionsError, match="index 999"):
        scored(tmp_path, tables[POPE], right(tables[POPE]) | {999: "Yes"})


def test_a_limit_is_that_of_the_answers(tables: tuple[TableRef, ...], tmp_path: Path) -> None:
    """Whole questions of the circular benchmark, and nothing is missing."""
    table = tables[MMBENCH]
    first = {i: text for i, text in right(table).items() if i % 10**6 == 0}

    told = scored(tmp_path, table, first, limit=1)

    assert told.rows == len(first) > 1
    assert told.overall == 100


def test_other_rules_need_no_new_answers(tables: tuple[TableRef, ...], tmp_path: Path) -> None:
    """But they need a name that is known."""
    with pytest.raises(UnknownRulesError, match="mine"):
        scored(tmp_path, tables[POPE], right(tables[POPE]), rules="mine")


def test_a_model_beside_itself_passes_with_no_difference(
    tables: tuple[TableRef, ...], tmp_path: Path
) -> None:
    """Difference 0, no flips, KL 0; the few pictures of this test are let pass."""
    mine = tuple(scored(tmp_path, table, right(table)) for table in tables)
    evidence = evidence_of(FidelityReport(prompts=a_divergence(0.0)), round_to_nearest=False)

    told = judge_variant.fn(mine, mine, evidence, GateSpec(clusters=1), place_at(tmp_path))

    assert told.verdict.outcome == "pass"
    assert told.comparison.average.difference == 0
    assert [(t.difference, t.flips.up, t.flips.down) for t in told.comparison.tasks] == [
        (0, 0, 0)
    ] * 4
    assert told.comparison.average.interval == an_interval(0, 0)
    assert Judged.model_validate_json(told.model_dump_json()) == told


def test_a_verdict_is_that_of_comparison_and_gate(
    tables: tuple[TableRef, ...], tmp_path: Path
) -> None:
    """Of the stored scores, with the recipe's thresholds."""
    before = tuple(scored(tmp_path, table, right(table)) for table in tables)
    worse = tuple(scored(tmp_path, table, dict.fromkeys(right(table), "No")) for table in tables)
    store = FolderStore(tmp_path)
    lax = GateSpec(average_margin=100, task_drop=100, flips=100, yes_share=100, unreadable=100)

    told = judge_variant.fn(before, worse, None, GateSpec(), place_at(tmp_path))
    let_go = judge_variant.fn(before, worse, None, lax, place_at(tmp_path))

    comparison = compare(read_scores(store, before), read_scores(store, worse))
    assert told.comparison == let_go.comparison == comparison
    assert told.verdict == judge(comparison, None, GateSpec())
    assert let_go.verdict == judge(comparison, None, lax)
    assert (told.verdict.outcome, told.comparison.average.difference < -50) == ("fail", True)
    assert let_go.verdict.outcome != "fail"


def test_only_the_same_questions_are_compared(tables: tuple[TableRef, ...], tmp_path: Path) -> None:
    """Neither other benchmarks, nor other rows of one."""
    pope = tables[POPE]
    whole = scored(tmp_path, pope, right(pope))
    some = {i: text for i, text in right(pope).items() if i < 4}
    part = scored(tmp_path, pope, some, limit=4)
    other = scored(tmp_path, tables[MMBENCH], right(tables[MMBENCH]))

    with pytest.raises(DifferentRowsError):
        judge_variant.fn((whole,), (part,), None, GateSpec(), place_at(tmp_path))
    with pytest.raises(DifferentTasksError):
        judge_variant.fn((whole,), (other,), None, GateSpec(), place_at(tmp_path))


def a_divergence(
    mean_kl: float, *, ratio: float = 1.0, rtn: float | None = None, int4: float | None = None
) -> Divergence:
    """Return a comparison of predictions, told apart by its mean."""
    return Divergence(
        samples=3,
        tokens=int(1000 * mean_kl) + 7,
        perplexity_16bit=5.0,
        perplexity_int4=5.0 * ratio,
        mean_kl=mean_kl,
        mean_kl_interval=an_interval(mean_kl / 2, mean_kl * 2),
        p99_kl=9 * mean_kl,
        p99_kl_interval=an_interval(mean_kl, 10 * mean_kl),
        top1_agreement=1 - mean_kl,
        mean_kl_rtn=rtn,
        less_than_rtn=None if rtn is None else an_interval(-0.2, -0.1),
        mean_kl_int4=int4,
        times_int4=None if int4 is None else an_interval(0.5, 2.0),
    )


def test_evidence_is_from_questions_where_there_are_some() -> None:
    """That is what the model is for; how it fares on text is told as the ratio of perplexities."""
    text, prompts = a_divergence(0.1, ratio=1.25), a_divergence(0.02, ratio=3.0, rtn=0.15)

    told = evidence_of(FidelityReport(text=text, prompts=prompts), round_to_nearest=False)

    assert told is not None
    assert told.model_dump(exclude_none=True) == {
        "mean_kl": 0.02,
        "mean_kl_interval": prompts.mean_kl_interval.model_dump(),
        "kl_99": 9 * 0.02,
        "top1_agreement": 0.98,
        "perplexity_ratio": 1.25,
        "tokens": 27,
        "is_round_to_nearest": False,
        "mean_kl_rtn": 0.15,
        "kl_less_rtn": an_interval(-0.2, -0.1).model_dump(),
        "against_int4": (),
    }


def test_evidence_beside_four_bits_is_from_all_that_was_predicted() -> None:
    """A model may answer well and write badly; what was not measured is left out."""
    text, prompts = a_divergence(0.1, int4=0.08), a_divergence(0.02, int4=0.01)

    both = evidence_of(FidelityReport(text=text, prompts=prompts), round_to_nearest=False)
    one = evidence_of(FidelityReport(text=text, prompts=a_divergence(0.2)), round_to_nearest=True)

    assert both is not None
    assert one is not None
    assert [(each.on, each.mean_kl, each.mean_kl_int4) for each in both.against_int4] == [
        ("text", 0.1, 0.08),
        ("questions", 0.02, 0.01),
    ]
    assert [each.on for each in one.against_int4] == ["text"]
    assert one.against_int4[0].times == an_interval(0.5, 2.0)


def test_evidence_is_from_text_where_there_are_no_questions() -> None:
    """Better than none."""
    told = evidence_of(FidelityReport(text=a_divergence(0.1, ratio=1.25)), round_to_nearest=True)

    assert told is not None
    assert (told.mean_kl, told.perplexity_ratio, told.tokens) == (0.1, 1.25, 107)
    assert (told.is_round_to_nearest, told.mean_kl_rtn, told.kl_less_rtn) == (True, None, None)


def test_questions_alone_tell_nothing_of_text() -> None:
    """No ratio is made up."""
    told = evidence_of(FidelityReport(prompts=a_divergence(0.1, ratio=2)), round_to_nearest=False)

    assert told is not None
    assert told.perplexity_ratio is None


def test_nothing_compared_is_no_evidence() -> None:
    """The gate says that fidelity was not measured."""
    assert evidence_of(FidelityReport(), round_to_nearest=False) is None
