"""Processes that are started again when they end, as systemd does it: whatever ended them."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from tests.support.proc import environment_of, processes

MARK = "ROUNDHOUSE_TEST_CLUSTER"  # in the environment of all that was started, and of its children
RESTART_SECONDS = 1.0
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 300.0


class Part(NamedTuple):
    """One process: what systemd would be told of it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], bool] = lambda: True


@dataclass
class Supervisor:
    """Runs parts in ``folder``, and starts again what ends until it is told to stop."""

    folder: Path
    parts: dict[str, Part] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _ended: dict[str, float] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._thread = threading.Thread(target=self._watch, name="supervisor")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End every process that was started, and every process of those."""
        self._over.set()
        assert self._thread is not None
        self._thread.join()
        for process in reversed(self._running.values()):
            process.terminate()
        deadline = time.monotonic() + 10
        for process in reversed(self._running.values()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
        for pid in self.everything():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._running.values():
            process.kill()
            process.wait()

    def start(self, *parts: Part) -> None:
        """Start parts, and wait until all of them are ready."""
        for part in parts:
            with self._lock:
                self.parts[part.name] = part
                self._spawn(part)
        for part in parts:
            self.ready(part.name)

    def stop(self, name: str) -> None:
        """End a part for good."""
        with self._lock:
            del self.parts[name]
            process = self._running.pop(name)
        process.terminate()
        process.wait(timeout=60)

    def pid(self, name: str) -> int | None:
        """Return the number of a part's process; None between its end and its next start."""
        with self._lock:
            process = self._running[name]
            return process.pid if process.poll() is None else None

    def kill(self, name: str) -> bool:
        """End a part at once, in the middle of whatever it does; return whether it was alive."""
        with self._lock:
            pid = self.pid(name)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
            return pid is not None

    def lose(self, name: str) -> None:
        """End a part at once, and do not start it again: its machine is gone."""
        with self._lock:
            del self.parts[name]
            process = self._running.pop(name)
        process.kill()
        process.wait()

    def ready(self, name: str) -> None:
        """Wait until a part is there and ready again."""
        wait_until(
            lambda: self.pid(name) is not None and self.parts[name].ready(),
            f"{name} to be ready",
            lambda: self.log_of(name),
        )

    def everything(self) -> list[int]:
        """Return the numbers of all living processes that came of this supervisor."""
        return [pid for pid in processes() if environment_of(pid).get(MARK) == self.mark]

    def log_of(self, name: str) -> str:
        """Return what a part has written, over all its lives."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _spawn(self, part: Part) -> None:
        with (self.folder / f"{part.name}.log").open("ab") as log:
            self._running[part.name] = subprocess.Popen(
                part.command,
                cwd=self.folder,
                env={**part.environment, MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._ended.pop(part.name, None)

    def _watch(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            with self._lock:
                for name, part in self.parts.items():
                    if self._running[name].poll() is None:
                        continue
                    since = self._ended.setdefault(name, time.monotonic())
                    if time.monotonic() - since >= RESTART_SECONDS:
                        self._spawn(part)


def wait_until(
    ready: Callable[[], bool],
    what: str,
    told: Callable[[], str] = lambda: "",
    *,
    seconds: float = PATIENCE_SECONDS,
    poll: float = POLL_SECONDS,
) -> None:
    """Wait for something that another process does.

    Args:
        ready: Whether it has done so.
        what: What is waited for, for the message.
        told: What helps to see why it was in vain; its end is shown.
        seconds: How long.
        poll: Seconds between two looks.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}: {told()[-3000:]}"
        time.sleep(poll)


def answers(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Return ports that are free, each another one."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
