"""A worker that is about to leave takes nothing any more."""

import asyncio
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

from flows.errors import WorkError
from flows.service.graceful import GracefulWorker


def test_what_was_being_taken_is_handed_back() -> None:
    """Prefect sets a run to Crashed that its worker refuses, with the reason."""
    worker = GracefulWorker("gpu", name="tycho-gpu-0", limit=1)

    async def left() -> None:
        await worker.leave(patience_seconds=0.0)
        await worker.run(FlowRun(flow_id=uuid4()), ProcessJobConfiguration())

    with pytest.raises(WorkError, match="worker tycho-gpu-0 is about to end"):
        asyncio.run(left())


def test_prefects_own_worker_stays_what_its_table_says() -> None:
    """Ours is started by name, and nothing else of Prefect meets it."""
    assert BaseWorker.get_worker_class_from_type("process") is ProcessWorker
