"""Quantize a vision-language model: calibrate, quantize, export, verify, evaluate, judge, publish.

Read this file first.  Each line of the flow is one step, and each step wraps functions of
`quantcore` (arithmetic) and `infra` (the outside world).  Steps hand each other references, a
place and a digest, and never tensors: each of them can be run again, skipped because its outcome
is in the store, or run elsewhere.
"""

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State

from flows import approval, report
from flows.endpoint import at_its_hub
from flows.errors import VerificationError
from flows.evaluate import BASELINE, Material, draw_material, evaluate
from flows.loss_report import publish_losses
from flows.publishing import look_before_publishing, publish_chosen
from flows.recipe import Recipe, Variant
from flows.results import Evaluation, RunResult, VariantResult
from flows.segment import Records, cut
from flows.segments import Asked, Cut, quantize_variants
from infra.models.source import ModelSource
from infra.store import Place, open_store
from infra.store.lease import Lease
from tasks.calibrate import collect_samples
from tasks.evalspecs import EvaluationPlan, Subject
from tasks.export import export_checkpoint
from tasks.finished import find_export
from tasks.preflight import look_before
from tasks.progress import say
from tasks.resolve import resolve_model
from tasks.sharing import made_once
from tasks.specs import CalibrationRef, ExportResult
from tasks.verify import verify_export


@flow(name="quantize", flow_run_name="{recipe.name}", persist_result=False)
def quantize_model(
    recipe: Recipe, workspace: Path, *, approve_hold: bool = False
) -> RunResult | State[RunResult]:
    """Turn the model of ``recipe`` into verified, judged checkpoints, and publish the best of them.

    Args:
        recipe: What is asked for.
        workspace: Folder of this machine for the store, caches and servers.
        approve_hold: Go on where the gate is not sure; a person has decided so beforehand.

    Returns:
        The result; the run ends in a state that is named after the verdict.

    Raises:
        VerificationError: An export is not what was computed.
        LeaseLostError: Another process took this run for dead, and goes on with it.
        InfraError: The model, the data, the Hub or the disk refuses.
        QuantcoreError: The weights or the grid refuse.
    """
    recipe, place = at_its_hub(recipe, workspace), recipe.at(workspace)
    look_before_publishing(recipe)
    store = open_store(place)  # before a model is fetched that could not be worked on
    named = resolve_model.with_options(task_run_name=f"resolve {recipe.model.source}")
    source = named(recipe.model.location, recipe.model.revision, place)
    return made_once(
        store,
        f"the run of {recipe.model.source} for {recipe.target}",
        done=lambda: None,  # another run that ends leaves this one little to do, and that is done
        make=lambda lease: _carried_out(recipe, source, lease, place, approve_hold=approve_hold),
    )


def _carried_out(
    recipe: Recipe, source: ModelSource, lease: Lease, place: Place, *, approve_hold: bool
) -> RunResult | State[RunResult]:
    """Do all of it, while no other run of this model has the same target."""
    wanted = tuple(report.request(recipe, variant) for variant in recipe.variants)
    runs = cut(look_before(source, recipe.quantization, wanted), recipe.quantization.segments)
    material = draw_material(recipe.benchmarks, recipe.evaluation.text, source, place)
    results = _quantized(recipe, source, runs, place)
    evaluation = _evaluate(recipe, source, results, material, place)
    result = RunResult(source=source, variants=results, evaluation=evaluation)
    report.publish_summary(recipe, result)
    settled = approval.settle(result, recipe.gate, approve_hold=approve_hold)
    if recipe.publish is None or not isinstance(settled, RunResult):
        return settled
    published = publish_chosen(  # who was believed dead must not publish beside its successor
        recipe, settled, material.text, place, confirm=lease.confirm
    )
    return settled.model_copy(update={"published": published})


def _quantized(
    recipe: Recipe, source: ModelSource, runs: tuple[range, ...], place: Place
) -> tuple[VariantResult, ...]:
    """Quantize every variant, and write and verify its checkpoints."""
    asked = tuple(_drawn(variant, source, place) for variant in recipe.variants)
    blocks = quantize_variants(
        Cut(source, runs, recipe.quantization, recipe.compute, place), asked, recipe.workers
    )
    return tuple(
        _make_variant(recipe, variant, source, samples, blocks[variant.name], place)
        for variant, (_, samples) in zip(recipe.variants, asked, strict=True)
    )


def _evaluate(
    recipe: Recipe,
    source: ModelSource,
    results: tuple[VariantResult, ...],
    material: Material,
    place: Place,
) -> Evaluation | None:
    """Examine the first format of every variant; both hold the same words."""
    if recipe.benchmarks is None and recipe.evaluation.text is None:
        return None
    folders = {one.name: one.examined for one in results}
    candidates = tuple(
        Subject(name=name, source=_resolve_export(name, folder, place))
        for name, folder in folders.items()
    )
    return evaluate(
        EvaluationPlan(
            name=recipe.name,
            baseline=Subject(name=BASELINE, source=source),
            candidates=candidates,
            round_to_nearest=frozenset(folders) if recipe.quantization.iters == 0 else frozenset(),
            asked=recipe.benchmarks,
            tables=material.tables,
            text=material.text,
            gate=recipe.gate,
            compute=recipe.compute,
            workers=recipe.workers,
            place=place,
            results=recipe.export.output_dir,
        )
    )


def _drawn(variant: Variant, source: ModelSource, place: Place) -> Asked:
    """Draw the samples of one variant."""
    chosen = variant.calibration
    say(f"{variant.name}: {'rounding to nearest' if chosen is None else 'drawing samples'}")
    return Asked(variant.name, None if chosen is None else collect_samples(chosen, source, place))


def _resolve_export(name: str, folder: Path, place: Place) -> ModelSource:
    """Return what was exported as a model that is examined like any other."""
    named = resolve_model.with_options(task_run_name=f"resolve the export of {name}")
    return named(str(folder), None, place)


def _make_variant(
    recipe: Recipe,
    variant: Variant,
    source: ModelSource,
    samples: CalibrationRef | None,
    records: Records,
    place: Place,
) -> VariantResult:
    """Write one variant, and prove what was written."""
    how, compute = recipe.quantization, recipe.own_compute
    report.publish_blocks(variant.name, records)

    say(f"{variant.name}: exporting to {variant.export.output_dir}")
    wanted = report.completed(report.request(recipe, variant), samples, records)
    result = find_export(source, wanted)
    if (missing := result.missing(wanted.export)) is not None:
        result = result.joined(
            export_checkpoint(source, records, how, missing, wanted.provenance, place)
        )
    say(f"{variant.name}: verifying the export")
    verification = verify_export(source, records, how, result, compute, place)
    _require(verification.problems, result)
    publish_losses(variant.name, records, open_store(place))

    return VariantResult(
        name=variant.name, blocks=records, export=result, verification=verification
    )


def _require(problems: tuple[str, ...], result: ExportResult) -> None:
    """Stop at a checkpoint that is not what was computed."""
    if problems:
        folders = ", ".join(str(folder) for folder in result.folders.values())
        raise VerificationError(
            f"The export of {result.variant} failed its verification: {'; '.join(problems)}. "
            f"Do not use {folders}; nothing was published."
        )
