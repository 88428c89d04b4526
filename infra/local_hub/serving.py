"""Run a Hub: in a thread, for tests and short uses, or as the whole of a process."""

import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import uvicorn

from infra.errors import HubPortError, LocalHubError
from infra.local_hub.app import create_app
from infra.local_hub.faults import FaultPlan
from infra.local_hub.settings import HubSettings
from infra.local_hub.wire import CuttableProtocol, Wire
from infra.ports import listening_socket

LOG = logging.getLogger("roundhouse.hub")
LOOPBACK = "127.0.0.1"
USUAL_PORT = 8390
LAST_ANSWERS_SECONDS = 10
POLL_SECONDS = 0.01


class RunningHub(NamedTuple):
    """A Hub that answers."""

    endpoint: str
    settings: HubSettings
    faults: FaultPlan


@contextlib.contextmanager
def serving(
    settings: HubSettings, *, port: int = 0, faults: FaultPlan | None = None
) -> Iterator[RunningHub]:
    """Serve a Hub on loopback from a thread of this process until the block ends.

    Args:
        settings: Where it keeps its data, and how much it takes at once.
        port: Where it listens; 0 for any port that is free.
        faults: What goes wrong; also the log of all requests.

    Raises:
        HubPortError: The port is taken.
        LocalHubError: It does not start.
        StorageError: The folder cannot be used.
    """
    plan = FaultPlan() if faults is None else faults
    with contextlib.closing(listen(LOOPBACK, port)) as listener:
        server = uvicorn.Server(_config(create_app(settings, plan)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(POLL_SECONDS)
            if not server.started:
                raise LocalHubError("The Hub ended while it started; its log says why.")
            address = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
            yield RunningHub(address, settings, plan)
        finally:
            server.should_exit = True
            thread.join()


def serve(settings: HubSettings, *, host: str = LOOPBACK, port: int = USUAL_PORT) -> None:
    """Serve a Hub until SIGTERM or SIGINT, and then finish what is under way.

    Raises:
        HubPortError: The port is taken, or the host is not this machine's.
        StorageError: The folder cannot be used.
    """
    with contextlib.closing(listen(host, port)) as listener, _signals_end_quietly():
        name = f"[{host}]" if ":" in host else host
        LOG.info("The Hub is at http://%s:%d", name, listener.getsockname()[1])
        uvicorn.Server(_config(create_app(settings))).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        HubPortError: The port is taken, or the host is not this machine's.
    """
    try:
        return listening_socket(host, port)
    except OSError as error:
        raise HubPortError(
            f"The Hub cannot listen on {host}, port {port}: {error.strerror or error}. Choose "
            "another port (0 for any that is free), or stop what is listening there; the host must "
            "be an address of this machine."
        ) from error


@contextlib.contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """Let a signal that has stopped the server be the end of it.

    When uvicorn has shut down, it sends itself the signal once more, for whoever handled it before.
    """
    before = [
        (number, signal.signal(number, lambda *_: None))
        for number in (signal.SIGTERM, signal.SIGINT)
    ]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _config(app: Wire) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=CuttableProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
    )
