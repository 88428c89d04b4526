"""Draw the samples that rounding is learned on, and put them into the store."""

import tempfile
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from infra.calibration import sample
from infra.calibration.collect import collect
from infra.calibration.spec import CalibrationSpec
from infra.models.source import ModelSource
from infra.store import Place, fingerprint, open_store
from tasks.policies import NETWORK_BACKOFF, network_trouble
from tasks.specs import CalibrationRef


@task(
    task_run_name="calibrate {spec.name}",
    retries=len(NETWORK_BACKOFF),
    retry_delay_seconds=NETWORK_BACKOFF,
    retry_condition_fn=network_trouble,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def collect_samples(spec: CalibrationSpec, source: ModelSource, place: Place) -> CalibrationRef:
    """Draw exactly ``spec.nsamples`` samples.  The same files and spec give the same digest.

    Raises:
        InfraError: The set cannot be read, or has too few usable rows.
    """
    drawn = collect(spec, source.path)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "samples.safetensors"
        sample.save(drawn, path)
        store = open_store(place)
        ref = store.put_file(path)
    # by their digest, so that whoever cleans the store knows that they are somebody's
    store.record(
        fingerprint({"step": "samples", "sha256": ref.sha256}), {"samples": ref.model_dump()}
    )
    return CalibrationRef(name=spec.name, ref=ref, report=drawn.report.model_dump(mode="json"))
