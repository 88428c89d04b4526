"""Gather what a release tells of itself: from the recipe, from what a run gave, from the exports.

Nothing is measured here and nothing is rounded.  The card formats these facts and adds none.
"""

import json
import platform
from importlib import metadata
from pathlib import Path

import torch

from flows.portable import local_files, model_name, portable_recipe
from flows.recipe import Recipe
from flows.results import Approval, Evaluation, RunResult, VariantEvaluation, VariantResult
from infra.calibration.report import CalibrationReport
from infra.card.facts import (
    ApprovalFacts,
    BlockFacts,
    CalibrationFacts,
    DataFile,
    FidelityFacts,
    FormatFacts,
    MethodFacts,
    On,
    ReleaseFacts,
    SourceFacts,
    Tool,
)
from infra.card.loaders import loader_of
from infra.card.scores import EvaluationFacts, VariantVerdict
from infra.card.sourcecard import read_source_card
from infra.card.table import average_row, benchmark_facts, score_rows
from infra.card.weights import weigh, weight_bytes
from infra.checkpoints.sidefiles import PROVENANCE
from infra.files import explaining
from infra.models.source import ModelSource, read_config
from tasks.engine import place_of
from tasks.evalspecs import BenchmarksSpec, Divergence, Judged
from tasks.generations import Generations
from tasks.specs import CalibrationRef, ComputeSpec, Format, QuantizationSpec

PACKAGES = (
    "torch", "transformers", "tokenizers", "safetensors", "datasets", "torchvision", "pillow",
)  # fmt: skip
"""What has a say in weights, answers or numbers."""


def release_facts(
    recipe: Recipe,
    result: RunResult,
    generations: Generations | None,
    *,
    text: CalibrationRef | None = None,
) -> ReleaseFacts:
    """Return all that is known of the variant that a run has chosen.

    Args:
        recipe: What was asked for.
        result: What the run gave.
        generations: Sample answers; None: nothing was asked.
        text: The held-out text; None: there was none.

    Raises:
        StorageError: An export or the 16-bit model cannot be read any more.
    """
    chosen = result.chosen
    reports = [found for each in result.variants if (found := _report(each)) is not None]
    held_out = None if text is None else CalibrationReport.model_validate(text.report)
    told = [*reports, *([held_out] if held_out else [])]
    revisions = {each.name: each.origin.revision for each in told}
    how = recipe.quantization
    facts = ReleaseFacts(
        tool=Tool(version=metadata.version("roundhouse")),
        name=recipe.name,
        variant=chosen.name,
        source=_source(recipe, result.source),
        method=_method(how),
        weights=weigh(next(iter(chosen.export.folders.values())), how.bits),
        formats=tuple(_format(kind, folder) for kind, folder in chosen.export.folders.items()),
        loaders=tuple(loader_of(kind) for kind in chosen.export.folders),
        calibration=tuple(_calibration(report) for report in reports),
        blocks=tuple(BlockFacts(**each.model_dump(include=_OF_A_BLOCK)) for each in chosen.blocks),
        generations=None if generations is None else generations.facts,
        environment=environment(recipe.compute),
        held_out=None if held_out is None else _calibration(held_out),
        recipe=portable_recipe(recipe, result.source.commit, revisions),
        local_files=local_files(recipe),
    )
    return promoted_facts(facts, recipe, result.evaluation, result.approval)


def promoted_facts(
    facts: ReleaseFacts,
    recipe: Recipe,
    evaluation: Evaluation | None,
    approval: Approval | None,
) -> ReleaseFacts:
    """Return facts with what an evaluation has shown, in place of what they told before.

    Args:
        facts: Of a run, or of a candidate that another run has made.
        recipe: By which the evaluation was asked, and which says whether the release is signed.
        evaluation: What was shown; None: nothing was asked.
        approval: Who let it go on.
    """
    found = () if evaluation is None else evaluation.variants
    known = None if evaluation is None else _evaluation(evaluation, recipe.benchmarks)
    told = {
        "published": None,
        "evaluation": known,
        "fidelity": tuple(one for variant in found for one in _fidelity(variant)),
        "approval": approval and ApprovalFacts(by=approval.by, reason=approval.reason),
        "signed": recipe.publish is not None and recipe.publish.signing_key is not None,
    }
    return ReleaseFacts.model_validate(dict(facts) | told)


def environment(compute: ComputeSpec) -> dict[str, str]:
    """Return the versions of what computes here, and the kind of machine."""
    place = place_of(compute)
    device = {"device": f"{platform.machine()} CPU, {torch.backends.cpu.get_cpu_capability()}"}
    if place.device.type == "cuda":
        name, cuda = torch.cuda.get_device_name(place.device), torch.version.cuda
        device = {"device": name, "cuda": str(cuda)}
    return {
        "roundhouse": metadata.version("roundhouse"),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        **device,
        "precision": str(place.dtype).removeprefix("torch."),
    }


_OF_A_BLOCK = {"block", "loss_before", "loss_after", "chosen_iteration", "fallback"}


def _source(recipe: Recipe, source: ModelSource) -> SourceFacts:
    card, config = read_source_card(source.path), read_config(source.path)
    named = config.get("architectures")
    return SourceFacts(
        name=source.repo_id or model_name(recipe),
        repo_id=source.repo_id,
        commit=source.commit,
        digest=source.digest,
        architecture=str(named[0] if named else config.get("model_type")),
        license=card.license,
        license_name=card.license_name,
        license_link=card.license_link,
        languages=card.languages,
        weight_bytes=weight_bytes(source.path),
    )


def _method(how: QuantizationSpec) -> MethodFacts:
    learned = how.iters > 0
    return MethodFacts(
        step=(how.lr or 1 / how.iters) if learned else None,
        **how.model_dump(
            include={
                *("bits", "group_size", "symmetric", "iters", "batch_size", "seed", "segments"),
            }
        ),
    )


def _format(kind: Format, folder: Path) -> FormatFacts:
    with explaining(folder, "reading"):
        files = sum(path.is_file() for path in folder.rglob("*"))
    return FormatFacts(format=kind, weight_bytes=weight_bytes(folder), files=files)


def _report(variant: VariantResult) -> CalibrationReport | None:
    """Return what an export tells of its calibration set; None: it learned from nothing."""
    path = next(iter(variant.export.folders.values())) / PROVENANCE
    with explaining(path, "reading"):
        told = json.loads(path.read_bytes())
    found = told["provenance"].get("calibration")
    return None if found is None else CalibrationReport.model_validate(found)


def _calibration(report: CalibrationReport) -> CalibrationFacts:
    origin = report.origin
    return CalibrationFacts(
        source=origin.source,
        repo_id=origin.source if origin.where == "hub" else None,
        revision=origin.revision,
        files=tuple(DataFile(**each.model_dump()) for each in origin.files),
        licence=origin.licence,
        skipped=sum(report.skipped.values()),
        **report.model_dump(
            include={
                *("name", "kind", "nsamples", "seqlen", "seed", "tokens", "images"),
                *("samples_sha256", "images_sha256"),
            }
        ),
    )


def _evaluation(found: Evaluation, asked: BenchmarksSpec | None) -> EvaluationFacts | None:
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


def _fidelity(variant: VariantEvaluation) -> list[FidelityFacts]:
    found = variant.fidelity
    if found is None:
        return []
    told: list[tuple[On, Divergence | None]] = [("text", found.text), ("questions", found.prompts)]
    return [_divergence(variant.name, on, one) for on, one in told if one is not None]


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
