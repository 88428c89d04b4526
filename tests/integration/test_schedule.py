"""A schedule that fires again while its last run is still going."""

import datetime as dt
import time
from collections.abc import Iterator

import pytest
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule

from tests.support.campaign import Outcome
from tests.support.cluster import Cluster

SCHEDULED = "quantize/scheduled"
AHEAD = dt.timedelta(seconds=4)
EVERY = dt.timedelta(seconds=2)  # a run takes longer, also one that finds all of its work done
PATIENCE_SECONDS = 400.0
NOT_TAKEN = ("Scheduled", "Late")  # these go with their schedule when it is deleted


@pytest.fixture(scope="module")
def seen(cluster: Cluster, undisturbed: Outcome) -> Iterator[list[list[FlowRun]]]:
    """Return what was seen, look by look, of two runs that a schedule has started."""
    del undisturbed  # is there, so that both runs find all of its work in the store
    with cluster.spoken_to() as client:
        deployment = client.read_deployment_by_name(SCHEDULED)
        anchor = dt.datetime.now(dt.UTC) + AHEAD
        schedule = IntervalSchedule(interval=EVERY, anchor_date=anchor)
        (made,) = client.create_deployment_schedules(deployment.id, [(schedule, True)])
        chosen = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
        looks: list[list[FlowRun]] = []
        deadline, stopped = time.monotonic() + PATIENCE_SECONDS, False
        while not (stopped and all(run.state and run.state.is_final() for run in looks[-1])):
            assert time.monotonic() < deadline, looks[-1]
            now = dt.datetime.now(dt.UTC)
            runs = client.read_flow_runs(deployment_filter=chosen)
            looks.append([run for run in runs if run.expected_start_time < now])
            if not stopped and sum(run.state_name not in NOT_TAKEN for run in looks[-1]) > 1:
                client.delete_deployment_schedule(deployment.id, made.id)
                stopped = True
            time.sleep(0.2)
        yield looks


def test_the_second_run_came_while_the_first_was_going(seen: list[list[FlowRun]]) -> None:
    """Otherwise nothing was tried."""
    first, second, *_ = sorted(seen[-1], key=lambda run: run.expected_start_time)
    assert first.end_time is not None
    assert second.expected_start_time < first.end_time


def test_the_limit_holds(seen: list[list[FlowRun]]) -> None:
    """There are never two of them at work."""
    at_work = [sum(run.state_name == "Running" for run in look) for look in seen]
    assert max(at_work) == 1


def test_nothing_is_lost(seen: list[list[FlowRun]]) -> None:
    """Every run that was due completes, the later ones when it is their turn."""
    assert len(seen[-1]) >= 2
    assert {run.state_name for run in seen[-1]} == {"Completed"}
