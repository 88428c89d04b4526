"""A worker that dies before a run that it has taken begins leaves nobody waiting for that run."""

import datetime as dt

from prefect import Flow, flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.events.schemas.automations import EventTrigger
from prefect.states import Pending, Running, Submitting

from flows.service.automations import OURS, stranded_runs
from tests.support.service import state_of, wait_until

SHORT = dt.timedelta(seconds=10)  # the shortest that Prefect waits


@flow(name=OURS[0])
def ours() -> None:
    """Do nothing, under a name that the automation knows."""


@flow
def foreign() -> None:
    """Do nothing, as anybody's flow on the same server."""


def test_what_was_taken_and_never_begins_is_crashed_and_nothing_else() -> None:
    """The automation is the service's own, with less patience.

    A run that began is left alone, and so are all runs of flows that are not ours.
    """
    wanted = stranded_runs()
    assert isinstance(wanted.trigger, EventTrigger)
    trigger = wanted.trigger.model_copy(update={"within": SHORT})
    quick = wanted.model_copy(update={"name": "a test", "trigger": trigger})
    with get_client(sync_client=True) as client:
        automation = client.create_automation(quick)
        try:
            others, begun, stranded = taken(client, foreign), taken(client), taken(client)
            client.set_flow_run_state(begun.id, Running())
            wait_until(
                lambda: state_of(client, stranded.id).is_crashed(), "the run to be crashed", 120.0
            )
            assert state_of(client, begun.id).is_running()
            assert state_of(client, others.id).is_pending()
        finally:
            client.delete_automation(automation)


def taken(client: SyncPrefectClient, of: Flow[[], None] = ours) -> FlowRun:
    """Return a run in the state that a worker leaves it in before its process begins."""
    run = client.create_flow_run(of)
    for state in (Pending(), Submitting()):
        client.set_flow_run_state(run.id, state)
    return run
