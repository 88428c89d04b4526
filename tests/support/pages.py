"""What the page of a run shows, read as a person's browser reads it: from the server."""

import time
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterName,
)
from prefect.client.schemas.objects import FlowRun, TaskRun


def runs_named(name: str) -> list[FlowRun]:
    """Return the runs of flows that are called ``name``, oldest first."""
    chosen = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=chosen)
    return sorted(runs, key=lambda run: run.created or run.expected_start_time)


def latest_run(name: str) -> FlowRun:
    """Return the last run that is called ``name``."""
    return runs_named(name)[-1]


def tasks_of(run: FlowRun) -> list[TaskRun]:
    """Return the task runs of a flow run."""
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    with get_client(sync_client=True) as client:
        return client.read_task_runs(flow_run_filter=chosen)


def artifacts_of(run: FlowRun) -> list[dict[str, Any]]:
    """Return the artifacts of a flow run."""
    body = {"artifacts": {"flow_run_id": {"any_": [str(run.id)]}}}
    with get_client(sync_client=True) as client:
        found: list[dict[str, Any]] = client.request("POST", "/artifacts/filter", json=body).json()
    return found


def wait_until_paused(name: str, *, patience_seconds: float = 300.0) -> FlowRun:
    """Wait until a run of this name waits for a person, and return it."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        for run in runs_named(name):
            if run.state is not None and run.state.is_paused():
                return run
        time.sleep(0.2)
    message = f"no run called {name} has paused"
    raise TimeoutError(message)


def resume(run: FlowRun, told: dict[str, Any]) -> None:
    """Fill in the form on the page of a paused run."""
    with get_client(sync_client=True) as client:
        client.resume_flow_run(run.id, run_input=told)


def asked_of_a_person(run: FlowRun) -> str:
    """Return the description above the form of a paused run."""
    assert run.state is not None
    keys = run.state.state_details.run_input_keyset
    assert keys is not None
    path = f"/flow_runs/{run.id}/input/{keys['description']}"
    with get_client(sync_client=True) as client:
        told: str = client.request("GET", path).json()
    return told
