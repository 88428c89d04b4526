"""A worker that can be asked to leave, and else is Prefect's own."""

import asyncio

from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessWorker

from flows.service.graceful import GracefulWorker


def test_a_worker_that_does_nothing_leaves_at_once() -> None:
    """However patient it is told to be."""
    worker = GracefulWorker("gpu", name="tycho-gpu-0", limit=1)

    asyncio.run(asyncio.wait_for(worker.leave(patience_seconds=600.0), 5.0))


def test_prefects_own_worker_stays_what_its_table_says() -> None:
    """Ours is started by name, and nothing else of Prefect meets it."""
    assert BaseWorker.get_worker_class_from_type("process") is ProcessWorker
