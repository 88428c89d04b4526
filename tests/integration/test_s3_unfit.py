"""rclone speaks S3 and ignores conditions: a store must not be built on it."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.demo import MODEL_DIR
from infra.errors import BucketAccessError, ChangedWeightsError, StoreUnfitError
from infra.models.finding import find, open_tensors
from infra.models.source import digest_of
from infra.models.tensors import SINGLE_FILE
from infra.store import Place, StoreAddress, open_store
from tests.support.bucket import keys_of_anyone

RCLONE = Path(sys.executable).with_name("rclone")
KEYS = "someone,something"  # another account than `keys_of_anyone`


@contextlib.contextmanager
def rclone(root: Path, *flags: str) -> Iterator[str]:
    """Serve a folder, whose subfolders are buckets; yield the address."""
    (root / "bucket").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(RCLONE), "serve", "s3", "--addr", f"127.0.0.1:{port}", *flags, str(root)]
    log = (root.parent / "rclone.log").open("wb")
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        assert process.poll() is None, "rclone ended"
        assert time.monotonic() < deadline, "rclone does not answer"
        time.sleep(0.05)


def place(endpoint: str, workspace: Path) -> Place:
    """Return a place on rclone, whose answers carry no checksums."""
    address = StoreAddress(
        uri="s3://bucket/roundhouse", endpoint=endpoint, checksums="when_required"
    )
    return Place(workspace=workspace, store=address)


def test_rclone_is_refused(tmp_path: Path) -> None:
    """By its address and by what it ignores; what the probe wrote is gone."""
    root = tmp_path / "served"
    with (
        keys_of_anyone(),
        rclone(root) as endpoint,
        pytest.raises(StoreUnfitError, match=r"\(If-None-Match\) twice") as caught,
    ):
        open_store(place(endpoint, tmp_path))

    assert f"s3://bucket/roundhouse at {endpoint}" in str(caught.value)
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_keys_that_rclone_does_not_know_are_refused(tmp_path: Path) -> None:
    """A second implementation says it in its own way, and the message is the same."""
    with (
        keys_of_anyone(),
        rclone(tmp_path / "served", "--auth-key", KEYS) as endpoint,
        pytest.raises(BucketAccessError, match="AWS_SECRET_ACCESS_KEY"),
    ):
        open_store(place(endpoint, tmp_path))


def test_a_model_can_be_streamed_from_it(tmp_path: Path) -> None:
    """Reading needs no conditions: a version is known by the ETag that comes with each answer."""
    with keys_of_anyone(), rclone(tmp_path / "served") as endpoint:
        shutil.copytree(MODEL_DIR, tmp_path / "served" / "bucket" / "model")
        shared = StoreAddress(
            uri=str(tmp_path / "store"), endpoint=endpoint, checksums="when_required"
        )
        at = Place(workspace=tmp_path, store=shared)

        source = find("s3://bucket/model", None, at)
        streamed = open_tensors(source)
        weights = tmp_path / "served" / "bucket" / "model" / SINGLE_FILE
        name = streamed.names[0]
        streamed.load(name)
        data = weights.read_bytes()
        weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

        assert source.digest == digest_of(MODEL_DIR)
        with pytest.raises(ChangedWeightsError, match="another version"):
            streamed.load(name)
