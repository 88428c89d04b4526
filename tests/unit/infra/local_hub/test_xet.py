"""The client's default way of sending large files, with its own Rust part, on this machine."""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from infra.local_hub import xet
from tests.support.git import require_sound
from tests.support.local_hub import LocalHub, local_hub

ROUND_TRIP = """
import hashlib, json, sys
from pathlib import Path
from huggingface_hub import CommitOperationAdd, HfApi

api, folder = HfApi(), Path(sys.argv[1])
add = [CommitOperationAdd(path.name, path) for path in sorted(folder.iterdir())]
made = api.create_commit("acme/x", add, commit_message="by chunks").oid
again = [CommitOperationAdd(path.name, path) for path in sorted(folder.iterdir())]
same = api.create_commit("acme/x", again, commit_message="again").oid
snapshot = Path(api.snapshot_download("acme/x", revision=made))
digests = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in snapshot.iterdir()}
hashes = {f.path: f.xet_hash for f in api.list_repo_tree("acme/x", revision=made)}
print(json.dumps([made, same, digests, hashes]))
"""


def run(hub: LocalHub, home: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a round trip in a process whose client has all its defaults."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))
    }
    settings = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_TOKEN": hub.write_token,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", ROUND_TRIP, str(folder)],
        env={**environment, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder with a small file and two large ones that share most of their bytes."""
    folder = tmp_path / "files"
    folder.mkdir()
    common = random.Random(1).randbytes(900_000)
    (folder / "config.json").write_text("{}")
    (folder / "a.safetensors").write_bytes(common + b"a")
    (folder / "b.safetensors").write_bytes(b"b" * 100_000 + common)
    return folder


def test_a_round_trip(tmp_path: Path, files: Path) -> None:
    """Chunks go to the folder, files come out of it, and git keeps pointers as ever."""
    with local_hub(tmp_path / "hub") as hub:
        hub.api().create_repo("acme/x")
        done = run(hub, tmp_path / "home", files)
        assert done.returncode == 0, done.stderr
        made, same, digests, hashes = json.loads(done.stdout)
        requests = hub.requests
        with httpx2.Client(base_url=hub.endpoint, trust_env=False) as client:
            plain = client.get("/acme/x/resolve/main/b.safetensors").content

    sent = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.iterdir()}
    assert made == same
    assert {name: digests[name] for name in sent} == sent
    assert bool(hashes["a.safetensors"])
    assert hashes["config.json"] is None
    assert any("xet-write-token" in line for line in requests)
    assert any("xet-read-token" in line for line in requests)
    assert not [line for line in requests if line.startswith("PUT")]
    assert plain == (files / "b.safetensors").read_bytes(), "others download the plain way"
    require_sound(hub.folder("acme/x"))


def test_a_hub_without_it_says_how_to_do_without(tmp_path: Path, files: Path) -> None:
    """The client does not ask whether a Hub has it, and fails; the answer names the way out."""
    with local_hub(tmp_path / "hub", xet=False) as hub:
        hub.api().create_repo("acme/x")
        done = run(hub, tmp_path / "home", files)
        with httpx2.Client(base_url=hub.endpoint, trust_env=False) as client:
            client.headers["Authorization"] = f"Bearer {hub.write_token}"
            answer = client.get("/api/models/acme/x/xet-write-token/main")

    assert done.returncode != 0
    assert answer.status_code == 404
    assert "HF_HUB_DISABLE_XET=1" in answer.json()["error"]


def test_clients_elsewhere_are_refused(tmp_path: Path) -> None:
    """A folder of this machine is of no use to them, and what is in it not theirs to read."""
    with local_hub(tmp_path / "hub") as hub:
        hub.api().create_repo("acme/x")
        with httpx2.Client(base_url=hub.endpoint, trust_env=False) as client:
            client.headers["Authorization"] = f"Bearer {hub.write_token}"
            client.headers["X-Forwarded-For"] = "192.0.2.7"  # as a proxy before the Hub says
            elsewhere = client.get("/api/models/acme/x/xet-write-token/main")

    assert elsewhere.status_code == 404


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("::1", True), ("192.0.2.7", False), ("localhost", False), (None, False)],
)
def test_this_machine(host: str | None, *, here: bool) -> None:
    """Only an address that says so; a name could be anybody's."""
    assert xet.is_this_machine(host) is here


def test_a_shard_that_is_cut_short(tmp_path: Path) -> None:
    """It tells of the files that are in it as a whole."""
    folder = tmp_path / "xet" / "xet" / "xorbs" / "shards"
    folder.mkdir(parents=True)
    (folder / "x.mdb").write_bytes(b"\0" * 100)

    assert xet.index(tmp_path) == {}
