"""Say what an evaluation has shown: artifacts for the page of the run, a file, lines for people."""

from collections.abc import Iterable, Iterator, Sequence

from flows.evaluation_file import as_json, document
from flows.report import table_line
from flows.results import Evaluation, ModelAnswers, VariantEvaluation
from infra.evaluation.tables import ResultsTable, results, scores
from infra.files import make_folder, write_atomically
from infra.store import Store, open_store
from tasks.evalspecs import BlockNoise, Divergence, EvaluationPlan
from tasks.score import read_scores
from tasks.telling import artifact_key, tell_markdown, tell_table

FIDELITY_COLUMNS = (
    *("variant", "on", "tokens", "perplexity", "mean KL", "rounded", "99 % KL", "top-1"),
)
FIDELITY_NOTE = (
    "Predictions token by token: perplexity as a multiple of the 16-bit model's; KL divergence "
    "from it in nats, its mean, that of plain round-to-nearest, and what 99 % of tokens stay "
    "below; share of tokens with the same most likely one."
)


def publish(plan: EvaluationPlan, evaluation: Evaluation) -> None:
    """Put tables and verdicts on the page of the run, and into files where that is asked for.

    Raises:
        StorageError: A file cannot be written.
    """
    store = open_store(plan.place)
    table = results_table(evaluation, store)
    if table is not None:
        tell_table(
            [dict(row) for row in table.rows()],
            key=artifact_key("evaluation", plan.name),
            description=table.footnote,
        )
    page = markdown(plan.name, evaluation, table)
    tell_markdown(
        page, key=artifact_key("verdict", plan.name), description=f"{plan.name}: the verdicts"
    )
    if plan.results is not None:
        baseline = None if plan.baseline is None else plan.baseline.name
        make_folder(plan.results)
        write_atomically(
            plan.results / "evaluation.json", as_json(document(evaluation, baseline, store))
        )
        write_atomically(plan.results / "evaluation.md", page.encode())


def results_table(evaluation: Evaluation, store: Store) -> ResultsTable | None:
    """Return the table of the card; None where no benchmark was asked.

    Raises:
        ComparisonError: Models do not fit into one table.
    """
    if not evaluation.models:
        return None
    engine = engine_line(evaluation.models[0])
    compared = {
        each.name: each.judged.comparison for each in evaluation.variants if each.judged is not None
    }
    if compared:
        return results(compared, engine=engine)
    told = {model.name: read_scores(store, model.scores) for model in evaluation.models}
    return scores(told, engine=engine)


def engine_line(model: ModelAnswers) -> str:
    """Return what answered, with version, precision and way."""
    told = model.answers[0].engine if model.answers else {}
    words = (str(told[name]) for name in ("engine", "version", "dtype", "mode") if name in told)
    return " ".join(words)


def markdown(name: str, evaluation: Evaluation, table: ResultsTable | None) -> str:
    """Return all of it as a page."""
    parts = [f"# {name}: evaluation"]
    if table is not None:
        parts.append(table.markdown().rstrip())
    parts += [_verdict(each) for each in evaluation.variants if each.judged is not None]
    if rows := fidelity_rows(evaluation.variants):
        lines = [table_line(FIDELITY_COLUMNS), table_line("---" for _ in FIDELITY_COLUMNS)]
        parts += [
            "## Fidelity to the 16-bit model",
            "\n".join([*lines, *map(table_line, rows)]),
            FIDELITY_NOTE,
        ]
    parts += [line for each in evaluation.variants if (line := _worst(each))]
    parts += [f"{t.benchmark.name}: {note}" for t in evaluation.tables for note in t.notes]
    return "\n\n".join(parts) + "\n"


def verdict_lines(variant: VariantEvaluation) -> Iterator[str]:
    """Return a variant's verdict as lines of text, with the findings that speak against it.

    What passed is on the page; on a console its many lines would hide the verdict.
    """
    if variant.judged is not None:
        verdict = variant.judged.verdict
        against = () if verdict.outcome == "pass" else verdict.decisive
        looked_at = f"{len(verdict.reasons)} things looked at"
        yield f"{variant.name}: {verdict.outcome.upper()} ({looked_at})"
        yield from (f"  {finding.words}" for finding in against)


def fidelity_rows(variants: Iterable[VariantEvaluation]) -> list[tuple[str, ...]]:
    """Return one row a variant and held-out set."""
    return [
        _row(each.name, on, found)
        for each in variants
        if each.fidelity is not None
        for on, found in (("text", each.fidelity.text), ("questions", each.fidelity.prompts))
        if found is not None
    ]


def _row(name: str, on: str, found: Divergence) -> tuple[str, ...]:
    return (
        name,
        on,
        str(found.tokens),
        f"x {found.perplexity_ratio:.4f}",
        f"{found.mean_kl:.5f}",
        "-" if found.mean_kl_rtn is None else f"{found.mean_kl_rtn:.5f}",
        f"{found.p99_kl:.4f}",
        f"{found.top1_agreement:.2%}",
    )


def _verdict(variant: VariantEvaluation) -> str:
    assert variant.judged is not None  # noqa: S101 -- the caller looked
    verdict = variant.judged.verdict
    lines = [f"## {variant.name}: {verdict.outcome}", ""]
    lines += [f"- {finding.outcome}: {finding.words}" for finding in verdict.reasons]
    return "\n".join(lines)


def _worst(variant: VariantEvaluation) -> str:
    if variant.fidelity is None or not variant.fidelity.worst_blocks:
        return ""
    return f"Noisiest blocks of {variant.name}: {_noise(variant.fidelity.worst_blocks)}."


def _noise(blocks: Sequence[BlockNoise]) -> str:
    return ", ".join(f"{each.block + 1} ({each.sqnr_db:.1f} dB)" for each in blocks)
