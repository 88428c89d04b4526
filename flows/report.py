"""Say what a run did: artifacts for the page of the run, lines and tables for people."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from flows.recipe import Recipe, Variant
from flows.results import RunResult, VariantResult
from infra.evaluation.verdict import Verdict
from tasks.evalspecs import FidelityReport
from tasks.specs import BlockRecord, CalibrationRef, ExportRequest
from tasks.telling import artifact_key, tell_markdown, tell_table

MIB = 1 << 20
NO_NUMBER = "n/a"  # a dash would begin a list, for cells are Markdown
NOT_OF_THE_CHECKPOINT: dict[str, set[str] | bool] = {
    "export": {"output_dir"},
    "compute": {"threads", "activation_gib"},
    **dict.fromkeys(("workers", "store", "evaluation", "benchmarks", "gate", "publish"), True),
}
COLUMNS = (
    "variant",
    "perplexity 16-bit",
    "perplexity quantized",
    "mean KL (nats)",
    "top-1 agreement",
    "size (MiB)",
)


def block_line(variant: str, record: BlockRecord, blocks: int) -> str:
    """Return one block's outcome as a line of text."""
    head = f"{variant}: block {record.block + 1} of {blocks}"
    if record.reused:
        return f"{head}: taken from the store"
    return f"{head}: {_outcome(record)}, {record.seconds:.1f} s"


def block_rows(records: Sequence[BlockRecord]) -> list[dict[str, Any]]:
    """Return the table of blocks, as wide as a page has room for.

    Numbers are strings, or the page shows all their digits.
    """
    return [
        {
            "block": record.block + 1,
            "loss before": _number(record.loss_before),
            "loss after": _number(record.loss_after),
            "change": _change(record),
            "step kept": record.chosen_iteration,
            "SQNR dB": NO_NUMBER if record.sqnr_db is None else f"{record.sqnr_db:.1f}",
            "fallback": record.fallback or "none",
            "seconds": f"{record.seconds:.1f}",
            "peak MiB": f"{record.peak_bytes / MIB:.0f}",
            "reused": "yes" if record.reused else "no",
        }
        for record in records
    ]


def publish_blocks(variant: str, records: Sequence[BlockRecord]) -> None:
    """Put the table of blocks on the page of the run."""
    tell_table(
        block_rows(records),
        key=artifact_key("blocks", variant),
        description=f"{variant}: held-out output error of each block, round-to-nearest first",
    )


def publish_summary(recipe: Recipe, result: RunResult) -> None:
    """Put the summary on the page of the run."""
    tell_markdown(
        summary(recipe, result),
        key=artifact_key("summary", recipe.name),
        description=f"{recipe.name}: variants, fidelity and folders",
    )


def summary(recipe: Recipe, result: RunResult) -> str:
    """Return the run's outcome as Markdown."""
    how = recipe.quantization
    grid = f"{how.bits} bits, group size {how.group_size}"
    kind = "symmetric" if how.symmetric else "asymmetric"
    lines = [
        f"# {recipe.name}",
        "",
        f"`{recipe.model.source}`, {grid}, {kind}, {how.iters} iterations.",
        "",
        table_line(COLUMNS),
        table_line("---" for _ in COLUMNS),
        *(table_line(row) for row in summary_rows(result)),
        "",
        *_verdicts(result),
        "## Folders",
        "",
        *(f"- `{folder}`" for one in result.variants for folder in one.export.folders.values()),
    ]
    return "\n".join(lines) + "\n"


def _verdicts(result: RunResult) -> Iterator[str]:
    """Yield what the gate says of each variant, and why, as far as anything was judged."""
    judged = () if result.evaluation is None else result.evaluation.variants
    verdicts = [(each.name, each.judged.verdict) for each in judged if each.judged is not None]
    if verdicts:
        yield from ("## Verdict of the gate", "")
        yield from (f"- {name}: **{one.outcome}**. {_why(one)}" for name, one in verdicts)
        yield ""


def _why(verdict: Verdict) -> str:
    """Return what decided; of what passed, how much that is."""
    if verdict.outcome == "pass":
        return f"{len(verdict.reasons)} things were looked at, and none speaks against it."
    return " ".join(finding.words for finding in verdict.decisive)


def summary_rows(result: RunResult) -> list[tuple[str, ...]]:
    """Return a row a variant, in the order of `COLUMNS`."""
    return [_summary_row(one, result.fidelity(one.name)) for one in result.variants]


def _summary_row(variant: VariantResult, fidelity: FidelityReport | None) -> tuple[str, ...]:
    text, size = None if fidelity is None else fidelity.text, f"{variant.export.bytes / MIB:.1f}"
    if text is None:
        return (variant.name, "-", "-", "-", "-", size)
    return (
        variant.name,
        f"{text.perplexity_16bit:.3f}",
        f"{text.perplexity_int4:.3f}",
        f"{text.mean_kl:.5f}",
        f"{text.top1_agreement:.2%}",
        size,
    )


def request(recipe: Recipe, variant: Variant) -> ExportRequest:
    """Return the export that ``variant`` wants, and what it tells of the recipe.

    What says where a run wrote, how much memory it took, or by what the result is judged is left
    out: it changes nothing in the checkpoint, and the same recipe must give the same bytes.  So a
    checkpoint is judged anew, by other thresholds or questions, without being made anew.
    """
    asked = recipe.model_dump(mode="json", exclude=NOT_OF_THE_CHECKPOINT)
    told = {"variant": variant.name, "recipe": _portable(asked)}
    return ExportRequest(export=variant.export, provenance=told)


def completed(
    wanted: ExportRequest, samples: CalibrationRef | None, records: Sequence[BlockRecord]
) -> ExportRequest:
    """Return ``wanted`` with what is known when all blocks are done."""
    told = {
        "calibration": None if samples is None else samples.report,
        "blocks": [_fate(record) for record in records],
    }
    return ExportRequest(export=wanted.export, provenance=wanted.provenance | told)


def _fate(record: BlockRecord) -> dict[str, Any]:
    """Return what is published of a block: what another run of the recipe would find again."""
    told = {"block", "loss_before", "loss_after", "chosen_iteration", "fallback"}
    return record.model_dump(mode="json", include=told) | {"codes_sha256": record.ref.sha256}


def _outcome(record: BlockRecord) -> str:
    """Return what became of a block's held-out error."""
    if record.loss_before is None or record.loss_after is None:
        return "rounded to nearest"
    if record.fallback:
        return f"held-out loss {record.loss_before:.4g}; {record.fallback}"
    way = (record.loss_before, record.loss_found, record.loss_after)
    told = " -> ".join(f"{loss:.4g}" for loss in way if loss is not None)
    return f"held-out loss {told} ({_change(record)})"


def _change(record: BlockRecord) -> str:
    """Return how the held-out error of a block changed, in percent."""
    if record.loss_before is None or record.loss_after is None:
        return NO_NUMBER
    return f"{record.loss_after / record.loss_before - 1 if record.loss_before else 0.0:+.0%}"


def table_line(cells: Iterable[str]) -> str:
    """Return one line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _portable(value: Any) -> Any:
    """Return ``value`` with each absolute path cut to its last name: a release names no machine."""
    if isinstance(value, dict):
        return {key: _portable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_portable(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


def _number(value: float | None) -> str:
    return NO_NUMBER if value is None else f"{value:.4g}"
