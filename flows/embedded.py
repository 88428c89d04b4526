"""What the servers that a workspace starts for itself have in common.

Each is a process of its own that outlives the command, listens on loopback, keeps its data in the
workspace, and is written down there, so that the next command finds it.
"""

import contextlib
import fcntl
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from flows import processes

HOST = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 -- what is asked for, not bound here
POLL_SECONDS = 0.25
LINES_TOLD = 3  # of a log, where a server did not start
SECRETS = ("TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIAL")  # a server needs none of ours


def healthy(url: str) -> bool:
    """Whether ``url`` answers, and with ``true``."""
    return answers_with(url, wanted=True)


def answers_with(url: str, wanted: object) -> bool:
    """Whether ``url`` answers, and with the JSON text of ``wanted``."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback, no proxy
    try:
        with opener.open(url, timeout=5) as response:
            return bool(json.loads(response.read()) == wanted)
    except (OSError, ValueError, urllib.error.URLError):
        return False


def why_not_ready(ready: Callable[[], bool], pid: int, *, patience_seconds: float) -> str | None:
    """Wait until ``ready``, as long as the process lives; return what went wrong, if it did."""
    deadline = time.monotonic() + patience_seconds
    while not ready():
        if processes.identity(pid) is None:
            return "ended at once"
        if time.monotonic() > deadline:
            return f"did not answer in {patience_seconds:.0f} s"
        time.sleep(POLL_SECONDS)
    return None


def last_lines(log: Path) -> str:
    """Return how a log ends, in one line."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return " | ".join(lines[-LINES_TOLD:]) or "(nothing)"


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a server may inherit of our environment."""
    return {
        name: value
        for name, value in environment.items()
        if not any(word in name.upper() for word in SECRETS)
    }


@contextlib.contextmanager
def locked(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[int]:
    """Hold a lock of ``kind`` on ``path``; the system lets go of it however the process ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind)
        yield descriptor
    finally:
        os.close(descriptor)
