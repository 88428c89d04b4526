"""Capture the 16-bit states in front of each segment: what a GPU worker does before the segments.

The states of each place are in the store as soon as they are made: a capture that is killed goes on
behind the last of them.
"""

from prefect import flow
from pydantic import TypeAdapter

from flows.jobs import Job
from infra.models.source import ModelSource
from infra.store import open_store
from tasks import capture
from tasks.capture import CapturedStart, CapturePlan
from tasks.outcomes import outcome_key
from tasks.telling import ProgressBar, artifact_key
from tasks.worker import taken

Captured = tuple[CapturedStart, ...]


@flow(name="capture-starts", flow_run_name="{plan.title}", persist_result=False)
def capture_starts(plan: CapturePlan) -> Captured:
    """Capture the states in front of each block that ``plan`` names.

    Args:
        plan: The model, its samples, and in front of which blocks.

    Returns:
        One reference a block, in order.

    Raises:
        EngineMismatchError: The plan is meant for another version of the engine.
        InfraError: A file cannot be read or written.
        QuantcoreError: The states cannot be kept.
    """
    plan = taken(plan)
    bar = ProgressBar(
        artifact_key("starts", plan.variant), f"{plan.title}: share of places that are done"
    )
    bar.show(0.0)
    made: Captured = ()
    with capture.open_capture(plan) as work:
        for block in plan.starts:
            named = capture.capture_start.with_options(
                task_run_name=f"{plan.variant}: 16-bit states before block {block + 1}"
            )
            made += (named(work, block),)
            bar.show(100.0 * len(made) / len(plan.starts))
    return capture_job(plan).done(open_store(plan.place), made)


def capture_job(plan: CapturePlan) -> Job[Captured]:
    """Return the capture of states as work that may be handed out."""
    without = {
        "variant": True,
        "source": ModelSource.model_fields.keys() - {"digest"},
        "calibration": {"name": True, "report": True, "ref": {"uri"}},
        "compute": {"threads", "activation_gib"},
    }
    key = outcome_key("capture", plan, without)
    return Job(capture_starts, plan, plan.title, key, TypeAdapter(Captured), _found)


def _found(starts: Captured) -> Captured:
    """Return starts as a run has them that captured none."""
    return tuple(start.model_copy(update={"reused": True}) for start in starts)
