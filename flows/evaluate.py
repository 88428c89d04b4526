"""Examine the 16-bit model and every variant, and say which of them may be released.

All models answer the same questions, through the same engine in the same precision, from the files
that would be published.  Answers, scores and comparisons are steps of their own: answers cost hours
and are never computed twice, the rest costs seconds.
"""

from pathlib import Path
from typing import Any, NamedTuple

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows import verdict_report
from flows.answering import comparison_job, shard_job
from flows.jobs import result_of
from flows.pool import on_workers
from flows.recipe import ModelSpec
from flows.results import Evaluation, ModelAnswers, VariantEvaluation
from infra.calibration.spec import CalibrationSpec
from infra.evaluation.verdict import GateSpec
from infra.models.source import ModelSource
from infra.store import Place, StoreAddress, open_store
from tasks.answer import Shard, answer_benchmarks
from tasks.calibrate import collect_samples
from tasks.evalspecs import (
    AnswersRef,
    BenchmarksSpec,
    EvaluationPlan,
    FidelityPlan,
    FidelityReport,
    Subject,
    TableRef,
)
from tasks.fidelity import compare_predictions
from tasks.progress import say
from tasks.resolve import resolve_model
from tasks.score import evidence_of, judge_variant, score_answers
from tasks.specs import CalibrationRef, ComputeSpec, Spec, WorkersSpec
from tasks.subjects import check_tokenizers, learned_nothing
from tasks.tables import find_benchmarks

BASELINE = "16bits"
"""What the 16-bit model's column is called."""


class Material(NamedTuple):
    """What models are examined with."""

    tables: tuple[TableRef, ...]
    text: CalibrationRef | None


class Checkpoint(Spec):
    """A checkpoint under test, as a person names it."""

    name: str = Field(description="What its column is called.")
    location: ModelSpec = Field(description="Its folder, or its repository on the Hub.")


class EvaluationRequest(Spec):
    """What a person asks of an evaluation that no recipe is behind."""

    name: str = Field(description="What the run is called.")
    baseline: ModelSpec | None = Field(description="The 16-bit model; None: scores alone.")
    checkpoints: tuple[Checkpoint, ...] = Field(min_length=1, description="What is tested.")
    asked: BenchmarksSpec = Field(description="Which benchmarks, and how they are asked.")
    text: CalibrationSpec | None = Field(default=None, description="Held-out text.")
    gate: GateSpec = Field(default=GateSpec(), description="What a checkpoint may lose.")
    compute: ComputeSpec = Field(default=ComputeSpec(), description="Where it runs.")
    store: StoreAddress = Field(default=StoreAddress(), description="Where answers are kept.")
    workers: WorkersSpec = Field(default=WorkersSpec(), description="Who answers.")


def draw_material(
    asked: BenchmarksSpec | None,
    text: CalibrationSpec | None,
    source: ModelSource,
    place: Place,
) -> Material:
    """Find benchmarks and held-out text, before hours are spent on what they would judge.

    Raises:
        EvaluationError: A benchmark cannot be had, or cannot be used.
        CalibrationError: The held-out text cannot be read, or has too few documents.
    """
    tables: tuple[TableRef, ...] = ()
    if asked is not None:
        say(f"finding and checking {', '.join(asked.names)}")
        tables = find_benchmarks(asked, place.local / "benchmarks")
    if text is None:
        return Material(tables, None)
    named = collect_samples.with_options(task_run_name=f"draw the held-out text {text.name}")
    return Material(tables, named(text, source, place))


def evaluate(plan: EvaluationPlan) -> Evaluation:
    """Run `evaluate_models` with as many answering tasks at a time as the plan says."""
    at_once = 1 if plan.asked is None else plan.asked.parallel
    runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=at_once)
    flow_of = evaluate_models.with_options(task_runner=runner)  # type: ignore[arg-type] # invariant
    return result_of(flow_of(plan, return_state=True))


@flow(name="evaluate", flow_run_name="{request.name}", persist_result=False)
def evaluate_checkpoints(request: EvaluationRequest, workspace: Path) -> Evaluation:
    """Find what a person has named, and evaluate it.

    Raises:
        EvaluationError: A benchmark, a model or its answers cannot be used.
        InfraError: A model cannot be found or read.
    """
    place = Place.of(workspace, request.store)
    baseline = None if request.baseline is None else _subject(BASELINE, request.baseline, place)
    candidates = tuple(_subject(each.name, each.location, place) for each in request.checkpoints)
    first = baseline or candidates[0]
    material = draw_material(request.asked, request.text, first.source, place)
    return evaluate(
        EvaluationPlan(
            name=request.name,
            baseline=baseline,
            candidates=candidates,
            round_to_nearest=frozenset(
                each.name for each in candidates if learned_nothing(each.source.path)
            ),
            asked=request.asked,
            tables=material.tables,
            text=material.text,
            gate=request.gate,
            compute=request.compute,
            workers=request.workers,
            place=place,
        )
    )


def _subject(name: str, model: ModelSpec, place: Place) -> Subject:
    return Subject(name=name, source=resolve_model(model.location, model.revision, place))


@flow(name="evaluate-models", flow_run_name="{plan.title}", persist_result=False)
def evaluate_models(plan: EvaluationPlan) -> Evaluation:
    """Let all models answer, count, compare with the 16-bit model, and judge.

    Raises:
        EvaluationError: A benchmark, a model or its answers cannot be used.
        InfraError: A file cannot be read or written.
    """
    check_tokenizers(plan.baseline, plan.candidates)
    models = () if plan.asked is None else _examined(plan, plan.asked)
    fidelity = _compared(plan, models)
    variants = tuple(_judged(plan, each, models, fidelity) for each in plan.candidates)
    evaluation = Evaluation(
        rules=None if plan.asked is None else plan.asked.rules,
        tables=plan.tables,
        models=models,
        variants=variants,
    )
    verdict_report.publish(plan, evaluation)
    return evaluation


def _examined(plan: EvaluationPlan, asked: BenchmarksSpec) -> tuple[ModelAnswers, ...]:
    """Let every model answer, all shards of all models side by side, and count.

    Models of one digest are one model, and answer once.
    """
    different: dict[str, Subject] = {}
    for subject in plan.subjects:
        different.setdefault(subject.source.digest, subject)
    shards = [shard for subject in different.values() for shard in _shards(plan, asked, subject)]
    answered: dict[str, list[tuple[AnswersRef, ...]]] = {digest: [] for digest in different}
    for shard, answers in zip(shards, _answered(plan, shards), strict=True):
        answered[shard.subject.source.digest].append(answers)
    return tuple(
        _counted(plan, asked, subject, answered[subject.source.digest]) for subject in plan.subjects
    )


def _answered(plan: EvaluationPlan, shards: list[Shard]) -> list[tuple[AnswersRef, ...]]:
    """Let shards be answered by the workers of a pool, or by tasks of this process."""
    if plan.workers.pool is not None:
        return on_workers(plan.workers, open_store(plan.place), [shard_job(s) for s in shards])
    under_way = [answer_benchmarks.submit(shard) for shard in shards]
    return [future.result() for future in under_way]


def _shards(plan: EvaluationPlan, asked: BenchmarksSpec, subject: Subject) -> list[Shard]:
    """Cut what one model is asked into tasks."""
    return [
        Shard(
            subject=subject,
            tables=plan.tables,
            asked=asked,
            compute=plan.compute,
            number=number,
            place=plan.place,
        )
        for number in range(asked.shards)
    ]


def _counted(
    plan: EvaluationPlan,
    asked: BenchmarksSpec,
    subject: Subject,
    answered: list[tuple[AnswersRef, ...]],
) -> ModelAnswers:
    """Score one model's answers to every benchmark."""
    answers = tuple(ref for shard in answered for ref in shard)
    scores = []
    for table in plan.tables:
        name = table.benchmark.name
        named = score_answers.with_options(task_run_name=f"{subject.name}: score {name}")
        mine = tuple(ref for ref in answers if ref.benchmark == name)
        scores.append(named(table, mine, asked, plan.place))
    return ModelAnswers(
        name=subject.name,
        digest=subject.source.digest,
        answers=answers,
        scores=tuple(scores),
    )


def _compared(plan: EvaluationPlan, models: tuple[ModelAnswers, ...]) -> dict[str, FidelityReport]:
    """Compare predictions token by token, where there is a 16-bit model to compare with."""
    if plan.baseline is None or not plan.candidates:
        return {}
    say("comparing the predictions of all models token by token")
    asked = FidelityPlan(
        baseline=plan.baseline,
        candidates=plan.candidates,
        text=None if plan.text is None else plan.text.ref,
        tables=plan.tables,
        answers=models[0].answers if models else (),
        asked=plan.asked,
        compute=plan.compute,
        place=plan.place,
    )
    if plan.workers.pool is None:
        return compare_predictions(asked)
    (compared,) = on_workers(plan.workers, open_store(plan.place), [comparison_job(asked)])
    return compared


def _judged(
    plan: EvaluationPlan,
    candidate: Subject,
    models: tuple[ModelAnswers, ...],
    fidelity: dict[str, FidelityReport],
) -> VariantEvaluation:
    """Say what is known of one candidate, and where it was examined, whether it may go out."""
    found = fidelity.get(candidate.name)
    if plan.baseline is None or not models:
        return VariantEvaluation(name=candidate.name, fidelity=found, judged=None)
    scores = {model.name: model.scores for model in models}
    named = judge_variant.with_options(
        task_run_name=f"{candidate.name}: compare with the 16-bit model, and judge"
    )
    learned_nothing = candidate.name in plan.round_to_nearest
    evidence = None if found is None else evidence_of(found, round_to_nearest=learned_nothing)
    judged = named(
        scores[plan.baseline.name], scores[candidate.name], evidence, plan.gate, plan.place
    )
    say(f"{candidate.name}: {judged.verdict.outcome}")
    return VariantEvaluation(name=candidate.name, fidelity=found, judged=judged)
