"""Tell the server of runs whose processes we have ended ourselves, instead of letting it find out.

Without, it would take the missing heartbeats of a minute and a half; whoever has handed out the
work waits so much longer.
"""

from collections.abc import Collection
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from flows import processes, server

RUN = "PREFECT__FLOW_RUN_ID"  # what Prefect's workers tell the processes of their runs
MESSAGE = "Its worker was stopped or started anew, and the run was ended with it."


def runs_of(at: Path, names: Collection[str]) -> tuple[UUID, ...]:
    """Return the runs whose processes were started by members of a service.

    Args:
        at: Folder of the members' records.
        names: Of the members.
    """
    pids = processes.marked(at, names)
    return tuple({UUID(run) for pid in pids if (run := processes.environment(pid).get(RUN))})


def report_lost(runs: Collection[UUID], workspace: Path) -> None:
    """Set to Crashed what has not said itself how it ended; without a server, nothing is said.

    Raises:
        ServerError: The server of the workspace refuses us.
    """
    record = server.read_record(workspace)
    if not runs or record is None or not server.is_alive(record):
        return
    with server.connected(workspace), get_client(sync_client=True) as client:
        for run in runs:
            _report(client, run)


def _report(client: SyncPrefectClient, run: UUID) -> None:
    try:
        state = client.read_flow_run(run).state
    except ObjectNotFound:
        return
    if state is None or not state.is_final():
        client.set_flow_run_state(run, Crashed(message=MESSAGE))
