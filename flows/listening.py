"""Run the service that releases by tag: webhook receiver, watcher, and what runs releases."""

import asyncio
import contextlib
import contextvars
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import uvicorn
from prefect import serve

from flows.deployments import release_deployments
from flows.errors import ServerError
from flows.watched import Answer
from infra.ports import listening_socket
from infra.triggers.receiver import ROUTE, create_receiver
from tasks.tags import look_and_announce

STOP_SECONDS = 10.0


class Address(NamedTuple):
    """Where notices are taken."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """What a webhook is given."""
        return f"http://{self.host}:{self.port}{ROUTE}"


def listen(recipes: Sequence[str], workspace: Path) -> None:
    """Serve both deployments until this process is told to stop.

    Args:
        recipes: The recipes, as the deployments are to name them.
        workspace: Folder of this machine for the store, caches and servers.
    """
    serve(
        *release_deployments(recipes, workspace),
        pause_on_shutdown=False,  # a watcher that was stopped goes on when it is started again
        print_starting_message=False,
    )


@contextlib.contextmanager
def receiving(address: Address, secret: str, known: Mapping[str, Answer]) -> Iterator[Address]:
    """Take notices in a thread of this process while the block runs.

    Args:
        address: Where; port 0 is any that is free.
        secret: What a notice must bring.
        known: Which repositories are watched.

    Yields:
        Where notices are taken.

    Raises:
        ServerError: The port is taken, or the receiver does not start.
    """

    async def look(repo_id: str) -> int:
        return len((await asyncio.to_thread(look_and_announce, *known[repo_id].where)).announced)

    with _bound(address) as listener:
        config = uvicorn.Config(
            create_receiver(secret, known, look), log_level="warning", access_log=False
        )
        server = uvicorn.Server(config)
        # Prefect's settings are those of a context, and a thread starts with none.
        run = contextvars.copy_context().run
        thread = threading.Thread(
            target=run, args=(server.run, [listener]), name="receiver", daemon=True
        )
        thread.start()
        try:
            yield Address(address.host, listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(STOP_SECONDS)


def _bound(address: Address) -> socket.socket:
    """Bind the port here, so that one that is taken is known before anything is started."""
    try:
        return listening_socket(address.host, address.port)
    except OSError as error:
        raise ServerError(
            f"The receiver of webhooks cannot listen on {address.host}:{address.port}: "
            f"{error.strerror or error}. Give another --port, or stop what uses it."
        ) from error
