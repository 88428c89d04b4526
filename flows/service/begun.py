"""A run that begins: heard of at once, and handed over to Prefect's engine when all is imported.

What a flow needs takes seconds to import, or most of a minute where many begin at once, and Prefect
sends a run's first heartbeat only afterwards.  Here it is the first thing that happens: whether a
run that was taken has begun is known as soon as whether it still lives.
"""

import contextlib
import contextvars
import importlib
import os
import runpy
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from prefect import engine
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.states import Cancelled

from flows.importing import without_collecting
from flows.service.heartbeats import HEARTBEAT, HEARTBEAT_SECONDS
from infra.environment import RUN

ENTRYPOINT = "PREFECT__FLOW_ENTRYPOINT"  # what Prefect's engine looks for


def main() -> None:
    """Import what the run needs, heard of all the while, and hand over to Prefect's engine."""
    begun = what_begins(UUID(os.environ[RUN]))
    if begun is None:
        return
    with beating(begun), without_collecting():
        if begun.entrypoint is not None:
            os.environ[ENTRYPOINT] = begun.entrypoint
            with contextlib.suppress(Exception):  # the engine meets it again, and tells the run
                importlib.import_module(begun.entrypoint.partition(":")[0])
    runpy.run_path(engine.__file__, run_name="__main__")


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that begins."""

    run: UUID
    flow: UUID
    flow_name: str
    entrypoint: str | None  # where the flow is, as its deployment says

    @property
    def related(self) -> dict[str, str]:
        """The flow, as Prefect's own heartbeats name it: automations choose by that."""
        return {
            "prefect.resource.id": f"prefect.flow.{self.flow}",
            "prefect.resource.role": "flow",
            "prefect.resource.name": self.flow_name,
        }


@contextlib.contextmanager
def beating(begun: Begun, seconds: float = HEARTBEAT_SECONDS) -> Iterator[None]:
    """Send a heartbeat of a run at once, and again each time that so many seconds have passed."""
    over = threading.Event()
    resource = {"prefect.resource.id": f"prefect.flow-run.{begun.run}"}

    def beat() -> None:
        while True:
            emit_event(HEARTBEAT, resource=resource, related=[begun.related])
            if over.wait(seconds):
                return

    as_here = contextvars.copy_context()  # which server is spoken to
    beats = threading.Thread(target=as_here.run, args=(beat,), daemon=True)
    beats.start()
    try:
        yield
    finally:
        over.set()
        beats.join()


def what_begins(run: UUID) -> Begun | None:
    """Return what the server knows of a run.

    None: it was cancelled before it began, and is Cancelled now, which is left to us.

    Raises:
        PrefectException: The server does not know the run, or cannot be reached.
    """
    with get_client(sync_client=True) as client:
        known = client.read_flow_run(run)
        if known.state is not None and known.state.is_cancelling():
            client.set_flow_run_state(run, Cancelled(message="It was cancelled before it began."))
            return None
        name = client.read_flow(known.flow_id).name
        deployment = known.deployment_id
        entrypoint = None if deployment is None else client.read_deployment(deployment).entrypoint
    return Begun(run, known.flow_id, name, entrypoint)
