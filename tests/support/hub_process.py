"""The Hub as a process of its own, which can be killed or be given little room."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2

PROJECT = Path(__file__).parents[2]
WITH_LITTLE_ROOM = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
sys.argv[0] = "hub"
runpy.run_module("infra.local_hub", run_name="__main__")
"""


class HubProcess(NamedTuple):
    """A Hub that answers."""

    endpoint: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def hub_process(root: Path, *, file_bytes: int | None = None) -> Iterator[HubProcess]:
    """Run a Hub over ``root`` until the block ends.

    Args:
        root: Its folder.
        file_bytes: Let no file of it grow larger, as if the disk were full.
    """
    port = _free_port()
    program = (
        ["-m", "infra.local_hub"]
        if file_bytes is None
        else ["-c", WITH_LITTLE_ROOM.format(limit=file_bytes)]
    )
    with subprocess.Popen(
        [sys.executable, *program, "--root", str(root), "--port", str(port)],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            endpoint = f"http://127.0.0.1:{port}"
            _wait_for(endpoint, process)
            yield HubProcess(endpoint, process)
        finally:
            process.kill()


def _wait_for(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    with httpx2.Client(trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx2.HTTPError):
                if client.get(f"{endpoint}/api/health").json() is True:
                    return
            assert process.poll() is None, "the Hub ended"
            assert time.monotonic() < deadline, "the Hub does not answer"
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
