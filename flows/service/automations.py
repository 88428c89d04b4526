"""The automation that finds runs whose machine is gone.

Every run sends a heartbeat each half minute.  Where three in a row are missing the run is set to
Crashed: whoever has handed it out hands it out again, and its slot in a limit is free.  A run that
ends, pauses or is cancelled says so, and is not waited for; a late heartbeat of one that has ended
does no harm, because the server lets no run leave an end for Crashed.
"""

from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from flows.service.heartbeats import PATIENCE

NAME = "flow run lost"
_HEARTBEAT = "prefect.flow-run.heartbeat"
ENDS = (
    "Completed", "Failed", "Crashed", "Cancelled", "Cancelling", "Paused", "Suspended",
    "Held", "Refused", "AlreadyReleased",  # as our own flows call theirs
)  # fmt: skip


def lost_runs() -> AutomationCore:
    """Return the automation: no heartbeat and no end for 90 seconds, so the run is Crashed."""
    return AutomationCore(
        name=NAME,
        description="A run whose heartbeats have stopped has lost its machine: set it to Crashed.",
        trigger=EventTrigger(
            after={_HEARTBEAT},
            expect={_HEARTBEAT, *(f"prefect.flow-run.{name}" for name in ENDS)},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=PATIENCE,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"No heartbeat for {PATIENCE.total_seconds():.0f} s: its machine is gone.",
            )
        ],
    )


def ensure_automations(client: SyncPrefectClient) -> None:
    """Create the automation, or make it what it should be; a person's pause of it is kept."""
    wanted = lost_runs()
    existing = client.read_automations_by_name(NAME)
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
