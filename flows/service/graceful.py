"""Prefect's process worker, which lets its runs end before it ends itself.

Prefect's own, told to end by SIGTERM, kills what it carries out on the spot, so that a run can
neither clean up nor say that it crashed, and its work is handed out again only after its silence.
"""

import abc
import contextlib
import os
import signal
from uuid import UUID

import anyio
from anyio.abc import TaskStatus
from prefect.client.schemas.objects import FlowRun
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from flows.errors import WorkError

SETTLE_SECONDS = 1.0  # until a run that was being taken is in hand
POLL_SECONDS = 0.1


class Started(TaskStatus[int]):
    """Hands on that a run's process has started, and keeps its number."""

    def __init__(self, told: TaskStatus[int] | None) -> None:
        """Hand on to ``told``."""
        self._told = told
        self.pid: int | None = None

    def started(self, value: int | None = None) -> None:
        """Take note of a process number."""
        self.pid = value
        if self._told is not None and value is not None:
            self._told.started(value)


# A base of its own, though nothing is abstract: such classes Prefect leaves out of its table of
# worker types, where ours would take the place of its own.
class GracefulWorker(ProcessWorker, abc.ABC):
    """A worker of a process pool that can be asked to leave."""

    def __init__(self, pool: str, *, name: str, limit: int | None) -> None:
        """Work for a pool that is there.

        Args:
            pool: Its name.
            name: Of the worker, as the server and its pages show it.
            limit: How many runs at once; None: as many as there are.
        """
        super().__init__(pool, name=name, limit=limit, create_pool_if_not_found=False)
        self._in_hand: dict[UUID, Started] = {}
        self._leaving = False

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Take the runs that are due; none any more when the worker is about to leave."""
        return [] if self._leaving else await super().get_and_submit_flow_runs()

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Carry out a run in a process, and return how that ended.

        Raises:
            WorkError: The worker is about to leave; Prefect sets the run to Crashed.
        """
        if self._leaving:
            raise WorkError(f"The worker {self.name} is about to end, and takes no more runs.")
        started = Started(task_status)
        self._in_hand[flow_run.id] = started
        try:
            return await super().run(flow_run, configuration, started)
        finally:
            del self._in_hand[flow_run.id]

    async def leave(self, patience_seconds: float) -> None:
        """Take no more runs, ask those in hand to end, and wait until they have, so long at most.

        What has not ended by then is killed when the worker is.
        """
        self._leaving = True
        asked: set[int] = set()
        settled = anyio.current_time() + SETTLE_SECONDS
        with anyio.move_on_after(patience_seconds):
            while self._in_hand or anyio.current_time() < settled:
                pids = {run.pid for run in self._in_hand.values() if run.pid is not None}
                for pid in pids - asked:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGTERM)
                asked |= pids
                await anyio.sleep(POLL_SECONDS)
