"""The stricter world that every test runs in: no network, no telemetry, one thread, no caches.

The environment is set before anything is imported, because the Hub's client, torch and Prefect
read it once, at import.
"""

import atexit
import ipaddress
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

_HF_HOME = tempfile.mkdtemp(prefix="roundhouse-tests-hf-")
_PREFECT_HOME = tempfile.mkdtemp(prefix="roundhouse-tests-prefect-")
for _folder in (_HF_HOME, _PREFECT_HOME):
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
os.environ.update(
    DO_NOT_TRACK="1",
    HF_DATASETS_OFFLINE="1",
    HF_HOME=_HF_HOME,  # never the cache or the token of whoever runs the tests
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_XET="1",
    HF_HUB_OFFLINE="1",
    OMP_NUM_THREADS="1",
    PREFECT_HOME=_PREFECT_HOME,  # never the profiles of whoever runs the tests
    TOKENIZERS_PARALLELISM="false",
)
for _name in (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_ENDPOINT",
    "HF_HUB_CACHE",
    "PREFECT_API_URL",
):
    os.environ.pop(_name, None)

# A shell has what it starts with `&` ignore SIGINT, and so would every process that tests start;
# Prefect's worker ends by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest  # noqa: E402 -- after the environment is set

from tests.support.tiny import write_tiny_qwen2_vl  # noqa: E402 -- as above

pytest_plugins = ["tests.support.server"]


class NetworkRefusedError(Exception):
    """A test tried to leave this machine."""


def _is_loopback(host: object) -> bool:
    if host is None or host in ("", b"", "localhost", b"localhost"):
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def refuse_network(event: str, args: tuple[Any, ...]) -> None:
    """Refuse to look up or reach any host but this one (an audit hook of the interpreter)."""
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        host = args[1][0]
    else:  # other events, and sockets within this machine, whose address is a path
        return
    if host in ("0.0.0.0", "::"):  # noqa: S104 -- nothing is bound; it asks for the own address
        return
    if not _is_loopback(host):
        message = f"A test tried to reach {host!r}; tests reach loopback alone."
        raise NetworkRefusedError(message)


sys.addaudithook(refuse_network)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny random Qwen2-VL in one weight file; read it, never write into it."""
    return write_tiny_qwen2_vl(tmp_path_factory.mktemp("tiny-qwen2-vl") / "model")


@pytest.fixture(scope="session")
def tiny_sharded_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same model in three weight files with an index."""
    return write_tiny_qwen2_vl(tmp_path_factory.mktemp("tiny-qwen2-vl") / "sharded", shards=3)
