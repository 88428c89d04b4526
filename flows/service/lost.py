"""Tell the server of runs whose processes we have ended ourselves, instead of letting it find out.

Without, it would take the missing heartbeats of a minute and a half; whoever has handed out the
work waits so much longer.
"""

import logging
from collections.abc import Collection
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

from flows import processes, server
from infra.environment import RUN

_LOG = logging.getLogger(__name__)
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
    """Set to Crashed what has not said itself how it ended, as far as there is a server to tell.

    What was being cancelled is Cancelled then.
    """
    record = server.read_record(workspace)
    if not runs or record is None or not record.is_running:
        return
    try:
        with server.connected(workspace), get_client(sync_client=True) as client:
            for run in runs:
                _report(client, run)
    except Exception:  # noqa: BLE001 -- whatever it is, missing heartbeats tell the same, later
        _LOG.warning("The server was not told of the end of %d runs.", len(runs))


def _report(client: SyncPrefectClient, run: UUID) -> None:
    try:
        state = client.read_flow_run(run).state
    except ObjectNotFound:
        return
    if state is None or not state.is_final():
        called_off = state is not None and state.is_cancelling()
        ended = Cancelled if called_off else Crashed
        client.set_flow_run_state(run, ended(message=MESSAGE))
