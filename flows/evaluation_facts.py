"""What a release tells of its evaluation: from comparisons, verdicts and divergences to facts."""

from flows.results import Evaluation
from infra.card.facts import FidelityFacts, On
from infra.card.scores import EvaluationFacts, VariantVerdict
from infra.card.table import average_row, benchmark_facts, score_rows
from tasks.evalspecs import BenchmarksSpec, Divergence, FidelityReport, Judged


def evaluation_facts(found: Evaluation, asked: BenchmarksSpec | None) -> EvaluationFacts | None:
    """Return what the benchmarks have shown; None: nothing was judged by any.

    Args:
        found: What was shown.
        asked: How the benchmarks were asked.
    """
    judged = {each.name: each.judged for each in found.variants if each.judged is not None}
    if not judged or asked is None or found.rules is None:
        return None
    comparisons = {name: each.comparison for name, each in judged.items()}
    first = next(iter(comparisons.values()))
    tables = {table.benchmark.name: table for table in found.tables}
    return EvaluationFacts(
        rules=found.rules,
        engine=dict(sorted(found.models[0].answers[0].engine.items())),
        image_path=asked.image_path,
        limit=asked.limit,
        seed=first.seed,
        resamples=first.resamples,
        benchmarks=tuple(
            benchmark_facts(task, tables[task.benchmark].dropped, tables[task.benchmark].notes)
            for task in first.tasks
        ),
        average=average_row(comparisons),
        rows=score_rows(comparisons),
        verdicts=tuple(_verdict(name, each) for name, each in judged.items()),
    )


def _verdict(name: str, judged: Judged) -> VariantVerdict:
    return VariantVerdict(variant=name, verdict=judged.verdict)


def fidelity_facts(found: Evaluation) -> tuple[FidelityFacts, ...]:
    """Return how near every variant's predictions are, on text and on questions."""
    return tuple(
        _divergence(variant.name, on, one)
        for variant in found.variants
        if variant.fidelity is not None
        for on, one in _measured(variant.fidelity)
        if one is not None
    )


def _measured(report: FidelityReport) -> tuple[tuple[On, Divergence | None], ...]:
    return ("text", report.text), ("questions", report.prompts)


def _divergence(name: str, on: On, one: Divergence) -> FidelityFacts:
    return FidelityFacts(
        variant=name,
        on=on,
        mean_kl_low=one.mean_kl_interval.low,
        mean_kl_high=one.mean_kl_interval.high,
        top1_percent=100 * one.top1_agreement,
        **one.model_dump(
            include={
                *("samples", "tokens", "perplexity_16bit", "perplexity_int4"),
                *("mean_kl", "mean_kl_rtn", "p99_kl"),
            }
        ),
    )
