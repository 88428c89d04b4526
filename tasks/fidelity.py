"""How near quantized models stay to their source: one pass, all of them side by side.

Perplexity, KL divergence and agreement on held-out text; the same on benchmark questions along the
16-bit model's answers; and the noise at the output of every block.  Round-to-nearest runs along as
what a learned rounding has to beat.
"""

import math
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from prefect import task
from prefect.cache_policies import NO_CACHE

from infra.errors import NonFinitePredictionsError
from infra.models.finding import present
from infra.store import Store, open_store
from tasks.contest import Entrant, Nearest, Outcome, Reading, Stored, compete
from tasks.divergence import divergence
from tasks.engine import OpenModel, budget_of, open_model, open_source, torch_threads
from tasks.evalspecs import BlockNoise, FidelityPlan, FidelityReport, Subject
from tasks.reader import ExportedTensors
from tasks.readings import answer_readings, text_readings
from tasks.subjects import tensors_of

_NEAREST = "round-to-nearest of "  # no variant's name has a space


class _Rivals(NamedTuple):
    """What a quantized candidate is held against, by the names of entrants."""

    nearest: str  # plain rounding on its own grid
    int4: str  # the same with 4 bits, whatever bits it has


@task(
    name="compare-predictions",
    task_run_name="compare the predictions of all models token by token",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def compare_predictions(plan: FidelityPlan) -> dict[str, FidelityReport]:
    """Run the 16-bit model, every candidate and round-to-nearest over the same tokens.

    Returns:
        A report by the name of the candidate; empty where there is nothing to compare on.

    Raises:
        NonFinitePredictionsError: A model's predictions are not numbers.
        InfraError: A model or its answers cannot be read.
    """
    asks_nothing = plan.asked is None or not plan.tables
    if not plan.candidates or (plan.text is None and asks_nothing):
        return {}
    plan, store = _present(plan), open_store(plan.place)
    text = () if plan.text is None else text_readings(store, plan.text)
    prompts = _prompts(plan, store)
    if not (text or prompts):
        return {}
    with torch_threads(plan.compute.threads), tempfile.TemporaryDirectory() as scratch:
        source = open_source(plan.baseline.source, plan.compute)
        entrants, rivals = _enter(plan, source)
        budget = budget_of(plan.compute, Path(scratch), chains=1 + len(entrants))
        outcomes = dict(compete(source, entrants, (*text, *prompts), budget))
    for name, outcome in outcomes.items():
        _require_numbers(name, outcome)
    return {
        each.name: _report(each.name, rivals.get(each.name), outcomes, len(text))
        for each in plan.candidates
    }


def _present(plan: FidelityPlan) -> FidelityPlan:
    """Return the plan with all models as they are on this machine."""

    def here(subject: Subject) -> Subject:
        source = present(subject.source, plan.place)
        return subject.model_copy(update={"source": source})

    candidates = tuple(map(here, plan.candidates))
    return plan.model_copy(update={"baseline": here(plan.baseline), "candidates": candidates})


def _prompts(plan: FidelityPlan, store: Store) -> tuple[Reading, ...]:
    """Return the questions, as many of each benchmark."""
    if plan.asked is None or not plan.tables:
        return ()
    each = -(-plan.asked.fidelity_prompts // len(plan.tables))
    folder = plan.baseline.source.path
    readings: tuple[Reading, ...] = ()
    for table in plan.tables:
        name = table.benchmark.name
        answers = [ref for ref in plan.answers if ref.benchmark == name]
        readings += answer_readings(folder, table, answers, plan.asked, each, store)
    return readings


def _enter(plan: FidelityPlan, source: OpenModel) -> tuple[dict[str, Entrant], dict[str, _Rivals]]:
    """Return all entrants, and by the name of a quantized candidate what it is held against.

    Round-to-nearest enters once for each grid, whoever is held against it.
    """
    entrants: dict[str, Entrant] = {}
    rivals: dict[str, _Rivals] = {}
    for candidate in plan.candidates:
        tensors = tensors_of(candidate.source)
        entrants[candidate.name] = Stored(open_model(candidate.source.path, plan.compute, tensors))
        if isinstance(tensors, ExportedTensors):
            grids = (tensors.grid, replace(tensors.grid, bits=4))
            rivals[candidate.name] = _Rivals(*(_NEAREST + str(grid) for grid in grids))
            entrants |= {_NEAREST + str(grid): Nearest(source, grid) for grid in grids}
    return entrants, rivals


def _require_numbers(name: str, outcome: Outcome) -> None:
    """Refuse predictions that would make every number of a report NaN."""
    source_is_sound = all(bool(each.nll_reference_T.isfinite().all()) for each in outcome.samples)
    if source_is_sound and all(bool(each.kl_T.isfinite().all()) for each in outcome.samples):
        return
    broken = (n for n, sqnr in enumerate(outcome.sqnr_db) if math.isnan(sqnr) or sqnr == -math.inf)
    first = next(broken, None)
    where = "in its output head" if first is None else f"from block {first} on"
    raise NonFinitePredictionsError(
        f"{name if source_is_sound else 'The 16-bit model'} gives predictions that are not "
        f"numbers, {where}. Either its weights are damaged, or its activations do not fit the "
        "precision: compute in float32 to tell which."
    )


def _report(
    name: str, rivals: _Rivals | None, outcomes: Mapping[str, Outcome], texts: int
) -> FidelityReport:
    mine = outcomes[name]
    against = () if rivals is None else tuple(outcomes[rival] for rival in rivals)
    parts = (slice(0, texts), slice(texts, None))
    text, prompts = (
        divergence(mine.samples[part], *(other.samples[part] for other in against))
        if mine.samples[part]
        else None
        for part in parts
    )
    blocks = (
        BlockNoise(block=number, sqnr_db=value if math.isfinite(value) else None)
        for number, value in enumerate(mine.sqnr_db)
    )
    return FidelityReport(text=text, prompts=prompts, blocks=tuple(blocks))
