"""Prefect's process worker, which lets its runs end before it ends itself.

Prefect's own, told to end by SIGTERM, kills what it carries out on the spot, so that a run can
neither clean up nor say that it crashed, and its work is handed out again only after its silence.
"""

import abc
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from uuid import UUID

import anyio
from anyio.abc import TaskStatus
from prefect.client.schemas.objects import FlowRun
from prefect.states import Scheduled
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

TAKING_SECONDS = 10.0  # that Prefect has, from a look for work, to carry out what was found
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
        self._leaving = False
        self._looking = False
        self._taken: dict[UUID, float] = {}  # runs that were found, and when
        self._in_hand: set[Started] = set()

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Take the runs that are due; none any more when the worker is about to leave."""
        if self._leaving:
            return []
        self._looking = True
        try:
            found = await super().get_and_submit_flow_runs()
        finally:
            self._looking = False
        now = time.monotonic()
        self._taken = self._still_taken(now) | {run.id: now for run in found}
        return found

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Carry out a run in a process, and return how that ended.

        A worker that is about to leave hands the run back instead: another one takes it.
        """
        self._taken.pop(flow_run.id, None)
        started = Started(task_status)
        with self._holding(started):
            if self._leaving:
                message = f"The worker {self.name} is about to end, and has handed it back."
                await self.client.set_flow_run_state(flow_run.id, Scheduled(message=message))
                return ProcessWorkerResult(status_code=0, identifier="")
            return await super().run(flow_run, configuration, started)

    async def leave(self, patience_seconds: float, *, grace_seconds: float = 0.0) -> None:
        """Take no more runs, ask those in hand to end, and wait until they have.

        Args:
            patience_seconds: So long at most; what has not ended by then is killed when the worker
                is.
            grace_seconds: Before they are asked, as they may end by themselves.
        """
        self._leaving = True
        asked: set[int] = set()
        with anyio.move_on_after(patience_seconds):
            await anyio.sleep(grace_seconds)
            while self._looking or self._in_hand or self._still_taken(time.monotonic()):
                pids = {run.pid for run in self._in_hand if run.pid is not None}
                for pid in pids - asked:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGTERM)
                asked |= pids
                await anyio.sleep(POLL_SECONDS)

    @contextlib.contextmanager
    def _holding(self, started: Started) -> Iterator[None]:
        self._in_hand.add(started)
        try:
            yield
        finally:
            self._in_hand.discard(started)

    def _still_taken(self, now: float) -> dict[UUID, float]:
        """Return the runs that may still come to be carried out; some never do."""
        return {run: at for run, at in self._taken.items() if now - at < TAKING_SECONDS}
