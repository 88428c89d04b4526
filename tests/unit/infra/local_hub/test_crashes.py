"""The Hub is killed in the middle of uploads and commits, or runs out of disk: nothing breaks."""

import base64
import hashlib
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2

from infra.local_hub.access import issue_token
from tests.support.git import git, require_sound
from tests.support.hub_process import hub_process

KILLS = 5
REPOSITORY = "alice/x"
MIB = 1 << 20


class Writer(threading.Thread):
    """Publishes one version after the other, and remembers what the Hub has said yes to."""

    def __init__(self, endpoint: str, token: str, versions: Iterator[int]) -> None:
        super().__init__(daemon=True)
        self._client = client_of(endpoint, token)
        self._versions = versions
        self.commits: list[str] = []
        self.tags: dict[str, str] = {}

    def run(self) -> None:
        """Go on until the Hub is gone."""
        with self._client as client:
            try:
                for version in self._versions:
                    commit = publish(client, version)
                    self.commits.append(commit)
                    answer = client.post(
                        f"/api/models/{REPOSITORY}/tag/{commit}", json={"tag": f"v{version}"}
                    )
                    answer.raise_for_status()
                    self.tags[f"v{version}"] = commit
            except httpx2.HTTPError:
                return


def client_of(endpoint: str, token: str) -> httpx2.Client:
    """Return a plain client, which tries nothing twice."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.Client(base_url=endpoint, headers=headers, trust_env=False, timeout=120)


def weights(version: int) -> bytes:
    """Return the large file of a version."""
    return random.Random(version).randbytes(300_000)


def publish(client: httpx2.Client, version: int) -> str:
    """Send a large file and a commit of it with small ones; return the commit."""
    data = weights(version)
    oid = hashlib.sha256(data).hexdigest()
    batch = client.post(
        f"/{REPOSITORY}.git/info/lfs/objects/batch",
        json={"operation": "upload", "objects": [{"oid": oid, "size": len(data)}]},
    )
    actions = batch.raise_for_status().json()["objects"][0].get("actions")
    if actions:
        client.put(actions["upload"]["href"], content=data).raise_for_status()
    small = base64.b64encode(str(version).encode()).decode()
    rows = [
        {"key": "header", "value": {"summary": f"version {version}"}},
        {"key": "lfsFile", "value": {"path": "m.safetensors", "oid": oid, "size": len(data)}},
        *({"key": "file", "value": {"path": f"d{n}/c.json", "content": small}} for n in range(9)),
    ]
    body = b"\n".join(json.dumps(row).encode() for row in rows)
    answer = client.post(f"/api/models/{REPOSITORY}/commit/main", content=body)
    return str(answer.raise_for_status().json()["commitOid"])


def require_whole(client: httpx2.Client, revision: str) -> None:
    """Require that all files of a revision can be read, and belong together."""
    base = f"/{REPOSITORY}/resolve/{revision}"
    small = {client.get(f"{base}/d{n}/c.json").raise_for_status().text for n in range(9)}
    (version,) = small
    assert client.get(f"{base}/m.safetensors").raise_for_status().content == weights(int(version))


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """What the Hub said yes to is there, every revision is whole, and the next commit succeeds."""
    root, seeded = tmp_path / "hub", random.Random(20261126)
    token = issue_token(root, "alice")
    folder = root / "models" / f"{REPOSITORY}.git"
    versions = iter(range(10_000))
    commits: list[str] = []
    tags: dict[str, str] = {}

    for kill in range(KILLS):
        with hub_process(root) as hub:
            with client_of(hub.endpoint, token) as client:
                if kill == 0:
                    client.post("/api/repos/create", json={"name": "x"}).raise_for_status()
                commits.append(publish(client, next(versions)))
            writer = Writer(hub.endpoint, token, versions)
            writer.start()
            writer.join(timeout=seeded.uniform(0.05, 0.8))
            hub.kill()
            writer.join()
        commits += writer.commits
        tags |= writer.tags

        require_sound(folder)
        history = git(folder, "rev-list", "main").split()
        assert [sha for sha in reversed(history) if sha in commits] == commits
        found = dict(
            line.split()
            for line in git(
                folder, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/tags"
            ).splitlines()
        )
        assert tags.items() <= found.items()

    with hub_process(root) as hub, client_of(hub.endpoint, token) as client:
        for revision in ("main", *list(tags)[-5:]):
            require_whole(client, revision)
        last = publish(client, next(versions))
        require_whole(client, last)
    require_sound(folder)
    assert not list((folder / "hub" / "tmp").iterdir())


def test_a_full_disk(tmp_path: Path) -> None:
    """Commits and uploads end with 507 and a sentence; nothing of them is kept."""
    root = tmp_path / "hub"
    token = issue_token(root, "alice")
    folder = root / "models" / f"{REPOSITORY}.git"
    with hub_process(root, file_bytes=MIB) as hub, client_of(hub.endpoint, token) as client:
        client.post("/api/repos/create", json={"name": "x"}).raise_for_status()
        commit = publish(client, 1)
        before = sorted(path for path in root.rglob("*") if "objects" in path.parts)

        large = random.Random(2).randbytes(2 * MIB)
        oid = hashlib.sha256(large).hexdigest()
        batch = client.post(
            f"/{REPOSITORY}.git/info/lfs/objects/batch",
            json={"operation": "upload", "objects": [{"oid": oid, "size": len(large)}]},
        )
        href = batch.json()["objects"][0]["actions"]["upload"]["href"]
        rows = [
            {"key": "header", "value": {"summary": "too much"}},
            {"key": "file", "value": {"path": "a", "content": base64.b64encode(b"x").decode()}},
            {"key": "file", "value": {"path": "b", "content": base64.b64encode(large).decode()}},
        ]
        body = b"\n".join(json.dumps(row).encode() for row in rows)

        answers = [
            client.put(href, content=large),
            client.post(f"/api/models/{REPOSITORY}/commit/main", content=body),
        ]

        for answer in answers:
            assert answer.status_code == 507
            assert "no room left on its disk" in answer.json()["error"]
            assert str(tmp_path) not in answer.text
        assert sorted(path for path in root.rglob("*") if "objects" in path.parts) == before
        assert not list((root / "tmp" / "uploads").iterdir())
        assert not list((folder / "hub" / "tmp").iterdir())
        require_sound(folder)
        require_whole(client, commit)
        require_whole(client, publish(client, 3))
