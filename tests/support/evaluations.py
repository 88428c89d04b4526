"""Evaluations for tests: the real gate's verdicts on small comparisons, and scores in a store."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from flows.results import (
    Evaluation,
    ModelAnswers,
    RunResult,
    VariantEvaluation,
    VariantResult,
)
from infra.evaluation.benchmark import Benchmark
from infra.evaluation.compared import Comparison
from infra.evaluation.comparison import compare
from infra.evaluation.gate import judge
from infra.evaluation.scored import Scored
from infra.models.source import ModelSource
from infra.store import ArtifactRef, FolderStore
from tasks.evalspecs import (
    AnswersRef,
    Divergence,
    FidelityReport,
    Judged,
    ScoredRef,
    TableRef,
)
from tests.support.scores import a_comparison, an_interval

NOWHERE = ArtifactRef(uri="cas/x", sha256="0" * 64)
SOURCE = ModelSource(path=Path("/models/m"), digest="d" * 64)
ENGINE: dict[str, str | int] = {"engine": "transformers", "version": "5", "dtype": "float32"}

PASS = a_comparison()
HOLD = a_comparison(difference=-1.0, bounds=(-2.0, 0.0))
FAIL = a_comparison(difference=-4.0, bounds=(-5.0, -3.0))
"""What the gate passes, what it holds, and what it refuses."""


def a_divergence(*, mean_kl: float = 0.0, rounded: float | None = None) -> Divergence:
    """Return predictions that are ``mean_kl`` nats away, and those of plain rounding."""
    near = an_interval(mean_kl, mean_kl)
    return Divergence(
        samples=1,
        tokens=10,
        perplexity_16bit=7.0,
        perplexity_int4=7.25,
        mean_kl=mean_kl,
        mean_kl_interval=near,
        p99_kl=0.5,
        p99_kl_interval=near,
        top1_agreement=0.975,
        mean_kl_rtn=rounded,
        less_than_rtn=None if rounded is None else an_interval(-0.2, -0.1),
    )


def judged(comparison: Comparison) -> Judged:
    """Return a comparison with what the gate makes of it."""
    return Judged(comparison=comparison, verdict=judge(comparison, None))


def an_evaluation(
    variants: Mapping[str, Comparison | None],
    *,
    fidelity: Mapping[str, FidelityReport] | None = None,
    models: Sequence[ModelAnswers] = (),
    tables: Sequence[TableRef] = (),
) -> Evaluation:
    """Return an evaluation of variants that compare so with their 16-bit model."""
    known = fidelity or {}
    return Evaluation(
        rules="vlmevalkit-7de2dcb",
        tables=tuple(tables),
        models=tuple(models),
        variants=tuple(
            VariantEvaluation(
                name=name,
                fidelity=known.get(name),
                judged=None if comparison is None else judged(comparison),
            )
            for name, comparison in variants.items()
        ),
    )


def a_run(evaluation: Evaluation | None, variants: Sequence[VariantResult] = ()) -> RunResult:
    """Return the result of a run."""
    return RunResult(source=SOURCE, variants=tuple(variants), evaluation=evaluation)


def a_table(name: str, *, notes: Sequence[str] = ()) -> TableRef:
    """Return a table of three rows."""
    return TableRef(
        benchmark=Benchmark(name=name, kind="mcq"),
        path=Path("/tables") / f"{name}.tsv",
        sha256="ab" * 32,
        rows=3,
        questions=2,
        dropped=1,
        notes=tuple(notes),
    )


def a_model(store: FolderStore, name: str, *scores: Scored) -> ModelAnswers:
    """Return a model whose scores are in the store."""
    return ModelAnswers(
        name=name,
        digest=name[0] * 64,
        answers=tuple(
            AnswersRef(
                benchmark=one.benchmark,
                ref=NOWHERE,
                engine=ENGINE,
                computed=len(one.rows),
                reused=0,
                seconds=1.5,
            )
            for one in scores
        ),
        scores=tuple(
            ScoredRef(
                benchmark=one.benchmark,
                ref=store.put_bytes(one.model_dump_json(by_alias=True).encode()),
                overall=one.report.overall,
                rows=len(one.rows),
            )
            for one in scores
        ),
    )


def compared(before: Scored, after: Scored) -> Comparison:
    """Return how one benchmark's answers compare."""
    return compare({before.benchmark: before}, {after.benchmark: after}, resamples=99)
