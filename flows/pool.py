"""Hand work to the workers of a pool, and wait for all of it without holding anything up.

A worker may be lost with what it was doing; then the same work is handed out again, a bounded
number of times, and what it had finished is found in the store.  Work that failed is another thing:
it would fail again, so the rest is cancelled and the failure is passed on.

Work that is under way already is not handed out twice: a parent that was killed and is started
again, or a second one on the same recipe, finds the run by its key and waits for that one.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterIdempotencyKey
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from flows.errors import NoDeploymentError, WorkFailedError, WorkLostError
from flows.jobs import Job
from infra.store import Store
from tasks.progress import say
from tasks.specs import WorkersSpec

POLL_SECONDS = 2.0
HINT_SECONDS = 60.0  # without a worker, after which a person is told so

R = TypeVar("R")


class Pool(NamedTuple):
    """The workers of a pool, as seen by one parent."""

    client: PrefectClient
    workers: WorkersSpec
    store: Store

    async def do(self, job: Job[R]) -> R:
        """Return what comes of ``job``, from the store where it is known, and told as such then.

        Raises:
            WorkFailedError: It failed; it would again.
            WorkLostError: Its workers were lost more often than is put up with.
            NoDeploymentError: The server does not know this kind of work.
            StoreError: The store cannot be read.
        """
        lost, attempt, empty, made = 0, 0, 0, False
        while True:
            found = await asyncio.to_thread(job.outcome, self.store)
            if found is not None:
                return found if made else job.again(found)
            run, is_news = await self._submitted(job, attempt)
            attempt += 1
            state = await self._end_of(job, run)
            made |= is_news
            if not is_news:
                continue  # over before we came; whatever it left was not there
            if state.is_completed():
                empty += 1
                _require_outcome(job, run, empty)
            elif state.is_crashed() or _is_called_off(state):
                lost += 1
                _require_patience(job, run, state, lost, self.workers.resubmits)
            else:
                raise WorkFailedError(f"{job.title} failed on its worker: {_why(state)}")

    async def _submitted(self, job: Job[R], attempt: int) -> tuple[FlowRun, bool]:
        """Return the run of this attempt, and whether its end is still to come."""
        key = f"{job.run_key}-{attempt}"
        known = await self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[key]))
        )
        if known:
            return known[0], not _is_over(known[0])
        name = f"{job.flow.name}/{self.workers.pool}"
        try:
            run = await arun_deployment(
                name,
                client=self.client,
                parameters=job.parameters,
                flow_run_name=job.title,
                idempotency_key=key,
                timeout=0,
            )
        except ObjectNotFound as error:
            raise NoDeploymentError(
                f"The Prefect server at {self.client.api_url} has no deployment {name}, which "
                f"workers.pool = {self.workers.pool} asks for. Start the service with "
                "`roundhouse up`, or leave workers.pool out to work in this process."
            ) from error
        return run, True

    async def _end_of(self, job: Job[R], run: FlowRun) -> State[Any]:
        """Wait for the end of a run; cancel it if nobody waits any more."""
        waiting_since, hinted, running = time.monotonic(), False, False
        try:
            while not _is_over(run):
                await asyncio.sleep(POLL_SECONDS)
                run = await self.client.read_flow_run(run.id)
                if not running and run.start_time is not None:  # perhaps it is over by now
                    running = True
                    say(f"{job.title}: taken by a worker")
                if not (running or hinted) and time.monotonic() - waiting_since > HINT_SECONDS:
                    hinted = True
                    say(f"{job.title}: no worker of the pool {self.workers.pool} has taken it yet")
        except Exception:
            raise  # the server did not answer, and would not hear of it either
        except BaseException:
            await self._cancel(run)
            raise
        assert run.state is not None  # noqa: S101 -- a run that is over has a state
        return run.state

    async def _cancel(self, run: FlowRun) -> None:
        """Ask for the end of a run; its worker sees to it."""
        message = "The run that asked for this one has ended without it."
        with contextlib.suppress(Exception):  # what matters is why we ended, which is told already
            await self.client.set_flow_run_state(run.id, Cancelling(message=message))


@contextlib.asynccontextmanager
async def workers_of(workers: WorkersSpec, store: Store) -> AsyncIterator[Pool]:
    """Speak to a server about the workers of a pool, over one connection."""
    async with get_client() as client:
        yield Pool(client, workers, store)


def on_workers(workers: WorkersSpec, store: Store, jobs: Sequence[Job[R]]) -> list[R]:
    """Let the workers of a pool carry out ``jobs``, and return their outcomes in order.

    Raises:
        WorkError: As `Pool.do`.
        StoreError: The store cannot be read.
    """

    async def carried_out() -> list[R]:
        async with workers_of(workers, store) as pool:
            return await all_of([pool.do(job) for job in jobs])

    return asyncio.run(carried_out())


async def all_of(work: Sequence[Coroutine[Any, Any, R]]) -> list[R]:
    """Return the outcomes of all, in order; where one fails, or we are stopped, end the rest.

    Unlike `asyncio.gather`, it leaves nothing running behind it.
    """
    under_way = [asyncio.create_task(each) for each in work]
    try:
        return list(await asyncio.gather(*under_way))
    except BaseException:
        for each in under_way:
            if not each.cancelling():  # one that ends its run may be interrupted in that
                each.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        raise


def _is_over(run: FlowRun) -> bool:
    """Whether nothing is to be waited for any more."""
    return run.state is not None and (run.state.is_final() or _is_called_off(run.state))


def _is_called_off(state: State[Any]) -> bool:
    """Whether a run is cancelled, or is being cancelled: the worker that sees to it may be gone."""
    return state.is_cancelled() or state.is_cancelling()


def _why(state: State[Any]) -> str:
    return (state.message or state.name or "no reason was given").removeprefix(
        "Flow run encountered an exception: "
    )


def _require_outcome(job: Job[Any], run: FlowRun, empty: int) -> None:
    """Give up on work that completes, and leaves nothing."""
    if empty > 1:
        raise WorkFailedError(
            f"{job.title} completed (run {run.name}), but left no outcome in the store. Worker and "
            "parent must use the same store: compare store.uri of the recipe with what the worker "
            "can reach."
        )


def _require_patience(job: Job[Any], run: FlowRun, state: State[Any], lost: int, most: int) -> None:
    """Say that a worker was lost, or the run called off by another; or give up."""
    if lost > most:
        raise WorkLostError(
            f"{job.title} was handed out {lost} times, and each time its worker was lost; the last "
            f"run is {run.name}: {_why(state)}. Look at the worker's log and at its machine's "
            "memory; the same command goes on behind the last finished block."
        )
    what = "it was cancelled" if _is_called_off(state) else "its worker was lost"
    say(f"{job.title}: {what} ({_why(state)}); handed out again")
