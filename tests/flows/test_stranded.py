"""A worker that dies before a run that it has taken begins leaves nobody waiting for that run."""

import datetime as dt

from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.events.schemas.automations import EventTrigger
from prefect.states import Pending, Running, Submitting

from flows.service.automations import stranded_runs
from tests.support.service import state_of, wait_until

SHORT = dt.timedelta(seconds=10)  # the shortest that Prefect waits


@flow
def nothing() -> None:
    """Do nothing."""


def test_what_was_taken_and_never_begins_is_crashed_and_nothing_else() -> None:
    """The automation is the service's own, with less patience; a run that began is left alone."""
    wanted = stranded_runs()
    assert isinstance(wanted.trigger, EventTrigger)
    trigger = wanted.trigger.model_copy(update={"within": SHORT})
    quick = wanted.model_copy(update={"name": "a test", "trigger": trigger})
    with get_client(sync_client=True) as client:
        automation = client.create_automation(quick)
        try:
            begun, stranded = taken(client), taken(client)
            client.set_flow_run_state(begun.id, Running())
            wait_until(
                lambda: state_of(client, stranded.id).is_crashed(), "the run to be crashed", 120.0
            )
            assert state_of(client, begun.id).is_running()
        finally:
            client.delete_automation(automation)


def taken(client: SyncPrefectClient) -> FlowRun:
    """Return a run in the state that a worker leaves it in before its process begins."""
    run = client.create_flow_run(nothing)
    for state in (Pending(), Submitting()):
        client.set_flow_run_state(run.id, state)
    return run
