"""A look at the tags by hand, beside the looks of the schedule."""

from collections.abc import Callable
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

LOOK = "watch-tags/every-5-minutes"


def look_at_tags(client: SyncPrefectClient, until_over: Callable[[UUID], None]) -> FlowRun:
    """Have the service look at the tags, and return the run of that when it is over.

    A look that comes while another one is going on is cancelled: then one more is asked for.

    Args:
        client: Of the service.
        until_over: Waits for the end of a run.
    """
    deployment = client.read_deployment_by_name(LOOK)
    while True:
        run = client.create_flow_run_from_deployment(deployment.id)
        until_over(UUID(str(run.id)))
        looked = client.read_flow_run(UUID(str(run.id)))
        if looked.state is None or not looked.state.is_cancelled():
            return looked
