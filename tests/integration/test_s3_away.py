"""An S3 server that is killed and comes back costs seconds, and nothing else."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.store import ArtifactRef, Place, Store, StoreAddress, fingerprint, open_store
from infra.store.leases import Leases
from tests.support.bucket import keys_of_anyone

PROJECT = Path(__file__).parents[2]
AWAY = 4.0  # seconds
STEPS = 60


class Server:
    """An S3 server whose process can be killed; what it has answered for, it knows again."""

    def __init__(self, journal: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.journal = journal
        self.process = self._start()

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start it again."""
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.support.kept_bucket"]
        with self.journal.with_suffix(".log").open("ab") as log:
            process = subprocess.Popen(
                [*command, str(self.port), str(self.journal), "bucket"],
                cwd=PROJECT,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return process
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Run a server."""
    with keys_of_anyone():
        server = Server(tmp_path / "journal")
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture
def store(server: Server, tmp_path: Path) -> Store:
    """Open a store on it."""
    address = StoreAddress(uri="s3://bucket/runs", endpoint=server.endpoint)
    return open_store(Place(workspace=tmp_path, store=address))


def test_a_killed_server_fails_no_call(server: Server, store: Store) -> None:
    """Whatever was under way is done again; nothing is lost, nothing is written by halves."""
    refs: list[ArtifactRef] = []
    troubles: list[Exception] = []

    def work() -> None:
        try:
            for step in range(STEPS):
                refs.append(store.put_bytes(f"object {step}".encode() * 1000))
                store.record(fingerprint({"step": step}), {"codes": refs[-1].model_dump()})
                time.sleep(0.02)
        except Exception as error:  # noqa: BLE001 -- shown by the assertion below
            troubles.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    while len(refs) < STEPS // 4:
        time.sleep(0.01)
    server.kill()
    time.sleep(AWAY)
    before = len(refs)
    server.restart()
    worker.join()

    assert troubles == []
    assert before < STEPS
    for step, ref in enumerate(refs):
        assert store.open(ref).read_bytes() == f"object {step}".encode() * 1000
        assert store.find(fingerprint({"step": step})) == {"codes": ref.model_dump()}


def test_a_lease_outlives_a_server(server: Server, store: Store) -> None:
    """An outage that is shorter than the term takes it from nobody."""
    with Leases(store.registers(), term=3 * AWAY).held("block 1") as lease:
        server.kill()
        time.sleep(AWAY)
        server.restart()
        time.sleep(AWAY)
        lease.require_held()

    assert lease.epoch == 1
    with Leases(store.registers()).held("block 1") as following:
        assert following.epoch == 2
