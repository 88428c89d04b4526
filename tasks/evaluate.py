"""How near a quantized model stays to its source on text that neither learned from."""

import tempfile
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from infra.calibration.collect import collect
from infra.calibration.spec import CalibrationSpec
from infra.models.source import ModelSource
from infra.store import FolderStore
from quantcore.activations import duplicate
from quantcore.block import advance
from quantcore.metrics import NOTHING, Fidelity, fidelity, merge
from tasks.codes import read_codes
from tasks.engine import budget_of, open_model, torch_threads
from tasks.policies import NETWORK_BACKOFF, network_trouble
from tasks.specs import BlockRecord, ComputeSpec, TextFidelity
from tasks.streaming import BATCH


@task(
    task_run_name="evaluate on {text.name}",
    retries=len(NETWORK_BACKOFF),
    retry_delay_seconds=NETWORK_BACKOFF,
    retry_condition_fn=network_trouble,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def text_fidelity(
    source: ModelSource,
    records: tuple[BlockRecord, ...],
    text: CalibrationSpec,
    compute: ComputeSpec,
    store_root: Path,
) -> TextFidelity:
    """Run both models over the same tokens, block by block, and compare their predictions.

    Raises:
        InfraError: The text cannot be read, or has too few documents.
    """
    samples = collect(text, source.path).samples
    model, store = open_model(source.path, compute), FolderStore(store_root)
    with torch_threads(compute.threads), tempfile.TemporaryDirectory() as scratch:
        budget = budget_of(compute, Path(scratch), chains=2)
        full = model.chain(samples, name="full", budget=budget)
        quantized = duplicate(full, name="quantized", budget=budget)
        for record in records:
            block = model.block(record.block)
            advance(block, full, {}, BATCH)
            advance(block, quantized, read_codes(store.open(record.ref)), BATCH)
        head = model.family.head(model.tensors, model.place)
        total = NOTHING
        for number, sample in enumerate(samples):
            before, after = head(full.get(number)[:-1]), head(quantized.get(number)[:-1])
            following = sample.input_ids[1:].to(before.device)
            total = merge(total, fidelity(before, after, following))
    return _told(total)


def _told(total: Fidelity) -> TextFidelity:
    return TextFidelity(
        tokens=total.tokens,
        perplexity_16bit=total.perplexity_reference,
        perplexity_int4=total.perplexity_candidate,
        mean_kl=total.mean_kl,
        top1_agreement=total.top1_agreement,
    )
