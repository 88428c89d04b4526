"""Gather what a release tells of itself: from the recipe, from what a run gave, from the exports.

Nothing is measured here and nothing is rounded.  The card formats these facts and adds none.
"""

import json
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from flows.evaluation_facts import evaluation_facts, fidelity_facts
from flows.portable import local_files, model_name, portable_recipe
from flows.recipe import Recipe
from flows.results import Approval, Evaluation, RunResult, VariantResult
from infra.calibration.report import CalibrationReport
from infra.card.facts import (
    ApprovalFacts,
    BlockFacts,
    CalibrationFacts,
    DataFile,
    FormatFacts,
    MethodFacts,
    ReleaseFacts,
    SourceFacts,
    Tool,
    VerificationFacts,
)
from infra.card.loaders import loader_of
from infra.card.sourcecard import read_source_card
from infra.card.weights import weigh, weight_bytes
from infra.checkpoints.sidefiles import PROVENANCE
from infra.files import explaining
from infra.models.finding import weight_bytes as source_weight_bytes
from infra.models.source import ModelSource, read_config
from tasks.engine import hardware, place_of
from tasks.generations import Generations
from tasks.specs import BlockRecord, CalibrationRef, ComputeSpec, Format, QuantizationSpec

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
    sets = tuple(_calibration(report) for report in reports)
    held_out = text and _calibration(CalibrationReport.model_validate(text.report))
    drawn = (*sets, *([held_out] if held_out else []))
    facts = ReleaseFacts(
        tool=Tool(version=metadata.version("roundhouse")),
        name=recipe.name,
        variant=chosen.name,
        source=_source(recipe, result.source),
        method=_method(recipe.quantization),
        weights=weigh(next(iter(chosen.export.folders.values())), recipe.quantization.bits),
        formats=tuple(_format(kind, folder) for kind, folder in chosen.export.folders.items()),
        loaders=tuple(loader_of(kind) for kind in chosen.export.folders),
        verification=_verification(chosen),
        calibration=sets,
        blocks=tuple(BlockFacts(**each.model_dump(include=_OF_A_BLOCK)) for each in chosen.blocks),
        generations=None if generations is None else generations.facts,
        environment=environment(recipe.compute, chosen.blocks),
        held_out=held_out,
        recipe=portable_recipe(recipe, result.source.commit, {e.name: e.revision for e in drawn}),
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
    asked = recipe.benchmarks
    told = {
        "published": None,
        "evaluation": None if evaluation is None else evaluation_facts(evaluation, asked),
        "fidelity": () if evaluation is None else fidelity_facts(evaluation),
        "approval": approval and ApprovalFacts(by=approval.by, reason=approval.reason),
        "signed": recipe.publish is not None and recipe.publish.signing_key is not None,
    }
    return ReleaseFacts.model_validate(dict(facts) | told)


def environment(compute: ComputeSpec, blocks: Sequence[BlockRecord] = ()) -> dict[str, str]:
    """Return the versions of what computes, and the kind of machine: that of the workers, if any.

    Args:
        compute: Where it was to run.
        blocks: What tells where it did.
    """
    told = [each.made_on for each in blocks if each.made_on] or [hardware(place_of(compute))]
    kinds = {name: sorted({one[name] for one in told if name in one}) for name in told[0]}
    return {
        "roundhouse": metadata.version("roundhouse"),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        **{name: " and ".join(found) for name, found in kinds.items()},
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
        weight_bytes=source_weight_bytes(source),
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


def _verification(variant: VariantResult) -> tuple[VerificationFacts, ...]:
    return tuple(
        VerificationFacts(
            format=kind,
            modules=found.quantized_modules,
            **found.model_dump(
                include={
                    *("codes_equal", "text_logit_error", "image_logit_error", "logit_tolerance"),
                }
            ),
        )
        for kind, found in variant.verification.folders.items()
    )


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
