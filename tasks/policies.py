"""How tasks wait and retry: named once, spelled out at each task.

Only the network can heal by itself.  A broken shard or a bad recipe is the same after a minute, and
a person should not have to wait for the fifth failure to read about it.
"""

from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from infra.errors import (
    DownloadError,
    HubUnreachableError,
    LogInUseError,
    StoreUnreachableError,
)

NETWORK_BACKOFF: list[float] = [1, 10, 60]  # seconds before each retry of a network call

LOCK_BACKOFF: list[float] = [5.0, 10.0, 20.0, 30.0, *[60.0] * 26, *[300.0] * 20]
"""Seconds before each look whether another run is done with the questions: two hours in all, in as
many looks as Prefect takes.
"""

_MAY_PASS = (
    HubUnreachableError,
    StoreUnreachableError,
    DownloadError,
    ConnectionError,
    TimeoutError,
)


async def network_trouble(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed task met a network that may be back in a minute."""
    failure = await state.aresult(raise_on_failure=False)
    return isinstance(failure, _MAY_PASS)


async def somebody_else_answers(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed task found another run at the same questions: it will be done soon."""
    failure = await state.aresult(raise_on_failure=False)
    return isinstance(failure, LogInUseError)
