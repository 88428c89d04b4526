"""Count answers, compare two models' scores, and judge: pure steps, repeated in seconds.

Answers and scores stay in the store; what steps hand on is where they are and the one number that
people look for.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from prefect import task
from prefect.cache_policies import NO_CACHE

from infra.evaluation.answerlines import read_lines
from infra.evaluation.comparison import compare
from infra.evaluation.gate import judge
from infra.evaluation.rules import rule_set
from infra.evaluation.scored import Scored
from infra.evaluation.scoring import score
from infra.evaluation.verdict import AgainstInt4, FidelityEvidence, GateSpec
from infra.store import Place, Store, open_store
from tasks.asking import open_table
from tasks.evalspecs import (
    AnswersRef,
    BenchmarksSpec,
    Divergence,
    FidelityReport,
    Judged,
    ScoredRef,
    TableRef,
)


@task(
    name="score-answers",
    task_run_name="score {table.benchmark.name}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def score_answers(
    table: TableRef,
    answers: tuple[AnswersRef, ...],
    asked: BenchmarksSpec,
    place: Place,
) -> ScoredRef:
    """Count one model's answers to one benchmark, of all shards.

    Raises:
        UnknownRulesError: There are no rules of that name.
        MissingPredictionsError: A question has no answer.
        ForeignPredictionsError: An answer belongs to no question.
    """
    store = open_store(place)
    told = read_lines([store.open(each.ref) for each in answers])
    scored = score(
        open_table(table, images=False, limit=asked.limit),
        {index: answer.text for index, answer in told.items()},
        rule_set(asked.rules),
        [index for index, answer in told.items() if answer.capped],
    )
    return ScoredRef(
        benchmark=scored.benchmark,
        ref=store.put_bytes(scored.model_dump_json(by_alias=True).encode()),
        overall=scored.report.overall,
        rows=len(scored.rows),
    )


@task(
    name="judge-variant",
    task_run_name="compare with the 16-bit model, and judge",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def judge_variant(
    baseline: tuple[ScoredRef, ...],
    candidate: tuple[ScoredRef, ...],
    evidence: FidelityEvidence | None,
    gate: GateSpec,
    place: Place,
) -> Judged:
    """Put a variant's scores beside the 16-bit model's, and say whether it may be released.

    Raises:
        ComparisonError: They are not of the same benchmarks, rows and rules.
    """
    store = open_store(place)
    comparison = compare(read_scores(store, baseline), read_scores(store, candidate))
    return Judged(comparison=comparison, verdict=judge(comparison, evidence, gate))


def read_scores(store: Store, refs: Iterable[ScoredRef]) -> Mapping[str, Scored]:
    """Return stored scores by benchmark."""
    return {
        each.benchmark: Scored.model_validate_json(store.open(each.ref).read_bytes())
        for each in refs
    }


def evidence_of(report: FidelityReport, *, round_to_nearest: bool) -> FidelityEvidence | None:
    """Return what a gate is told of a comparison: questions where there are some, else text."""
    found = report.prompts or report.text
    if found is None:
        return None
    return FidelityEvidence(
        mean_kl=found.mean_kl,
        mean_kl_interval=found.mean_kl_interval,
        kl_99=found.p99_kl,
        top1_agreement=found.top1_agreement,
        perplexity_ratio=None if report.text is None else report.text.perplexity_ratio,
        tokens=found.tokens,
        is_round_to_nearest=round_to_nearest,
        mean_kl_rtn=found.mean_kl_rtn,
        kl_less_rtn=found.less_than_rtn,
        against_int4=tuple(_against_int4(report)),
    )


def _against_int4(report: FidelityReport) -> Iterator[AgainstInt4]:
    """Yield what a gate is told of plain rounding to 4 bits, on text and on questions."""
    named: tuple[tuple[Literal["text", "questions"], Divergence | None], ...] = (
        ("text", report.text),
        ("questions", report.prompts),
    )
    for on, found in named:
        if found is not None and found.mean_kl_int4 is not None and found.times_int4 is not None:
            yield AgainstInt4(
                on=on,
                mean_kl=found.mean_kl,
                mean_kl_int4=found.mean_kl_int4,
                times=found.times_int4,
            )
