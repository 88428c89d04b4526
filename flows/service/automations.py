"""The automations that find runs whose machine is gone.

Every run sends a heartbeat each half minute.  Where three in a row are missing, or none came at
all, the run is set to Crashed: whoever has handed it out hands it out again, and its slot in a
limit is free.  A run that ends, pauses, is cancelled or given back says so, and is not waited for;
a late heartbeat of one that has ended does no harm, because the server lets no run leave an end for
Crashed.

Only runs of our own flows are looked after: what else is on a server may be silent as long as it
likes, and by default it is heard of every three minutes.

What a worker has taken is heard of from the beginning of its process, long before the run itself
begins (`flows.service.begun`).  What the worker says meanwhile is no sign of the run's life: it
may be gone a moment later.
"""

from collections.abc import Iterable
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from flows.service.heartbeats import HEARTBEAT, PATIENCE

LOST, NEVER_BEGAN = "flow run lost", "flow run never began"
_ANY = "prefect.flow-run.*"
TAKEN = ("Pending", "Submitting", "InfrastructurePending")  # as workers say, one after the other
GIVEN_BACK = ("Scheduled", "Late", "AwaitingRetry", "AwaitingConcurrencySlot")
OURS = (  # the names of all of our flows
    "quantize", "capture-starts", "quantize-segment", "evaluate", "evaluate-models",
    "answer-benchmarks", "compare-predictions", "watch-tags", "release", "promote",
)  # fmt: skip
ENDS = (
    "Completed", "Failed", "Crashed", "Cancelled", "Cancelling", "Paused", "Suspended",
    "Held", "Refused", "AlreadyReleased",  # as our own flows call theirs
)  # fmt: skip


def lost_runs() -> AutomationCore:
    """Return the automation: no heartbeat and no end for 90 seconds, so the run is Crashed."""
    return _crashed_without(
        LOST,
        "A run whose heartbeats have stopped has lost its machine: set it to Crashed.",
        f"No heartbeat for {PATIENCE.total_seconds():.0f} s: its machine is gone.",
        # a machine may be lost before the first heartbeat
        after={HEARTBEAT, *_events(("Running",))},
        expect={HEARTBEAT, *_events((*GIVEN_BACK, *ENDS))},
    )


def stranded_runs() -> AutomationCore:
    """Return the automation: taken by a worker and silent for 90 seconds, so the run is Crashed."""
    return _crashed_without(
        NEVER_BEGAN,
        "A run that a worker has taken and not begun has lost its machine: set it to Crashed.",
        f"Taken by a worker, and not heard of in {PATIENCE.total_seconds():.0f} s: its machine is "
        "gone.",
        after=_events(TAKEN),
        expect={HEARTBEAT, *_events(("Running", "Retrying", *GIVEN_BACK, *ENDS))},
    )


def ensure_automations(client: SyncPrefectClient) -> None:
    """Create both, or make them what they should be; a person's pause of one is kept."""
    for wanted in (lost_runs(), stranded_runs()):
        _ensure(client, wanted)


def _events(states: Iterable[str]) -> set[str]:
    """Return what is told when a run comes into one of these states."""
    return {f"prefect.flow-run.{state}" for state in states}


def _crashed_without(
    name: str, description: str, message: str, *, after: set[str], expect: set[str]
) -> AutomationCore:
    """Return what sets a run to Crashed where nothing expected of it follows in time."""
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            after=after,
            expect=expect,
            match=ResourceSpecification({"prefect.resource.id": [_ANY]}),
            match_related=ResourceSpecification(
                {"prefect.resource.role": "flow", "prefect.resource.name": list(OURS)}
            ),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=PATIENCE,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)],
    )


def _ensure(client: SyncPrefectClient, wanted: AutomationCore) -> None:
    existing = client.read_automations_by_name(wanted.name)
    for known in existing[1:]:
        client.delete_automation(known.id)
    if not existing:
        client.create_automation(wanted)
        return
    kept = wanted.model_copy(update={"enabled": existing[0].enabled})
    if not _same(existing[0], kept):
        client.update_automation(existing[0].id, kept)


def _same(known: Automation, wanted: AutomationCore) -> bool:
    """Whether an automation says what is wanted; changing one would restart what it waits for."""
    return _told(known) == _told(wanted)


def _told(automation: AutomationCore) -> dict[str, Any]:
    """Return what an automation says, without the numbers that the server gives."""
    told = automation.model_dump(
        mode="json", include={"name", "description", "enabled", "actions", "trigger"}
    )
    told["trigger"].pop("id", None)
    for names in ("after", "expect", "for_each"):  # sets, in no order
        told["trigger"][names] = sorted(told["trigger"][names])
    for action in told["actions"]:
        action.pop("id", None)
    return told
