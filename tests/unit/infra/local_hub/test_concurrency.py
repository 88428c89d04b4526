"""Many at once, also by two servers over one folder: everything happens one after the other."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from infra.local_hub.access import issue_token
from infra.local_hub.serving import serving
from infra.local_hub.settings import HubSettings
from tests.support.git import git, require_sound

WRITERS = 4
COMMITS_EACH = 5


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder of a Hub."""
    return tmp_path / "hub"


@pytest.fixture
def clients(root: Path) -> Iterator[list[httpx2.Client]]:
    """Return clients of two servers over one folder, and a repository there."""
    headers = {"Authorization": f"Bearer {issue_token(root, 'alice')}"}
    with serving(HubSettings(root=root)) as one, serving(HubSettings(root=root)) as two:
        made = [
            httpx2.Client(base_url=hub.endpoint, headers=headers, trust_env=False, timeout=120)
            for hub in (one, two, one, two)
        ]
        made[0].post("/api/repos/create", json={"name": "x"}).raise_for_status()
        yield made
        for client in made:
            client.close()


def commit(client: httpx2.Client, path: str, parent: str | None = None) -> int:
    """Add a file, and return the status."""
    header = {"summary": path} | ({"parentCommit": parent} if parent else {})
    rows = [
        {"key": "header", "value": header},
        {"key": "file", "value": {"path": path, "content": "eA=="}},
    ]
    body = b"\n".join(json.dumps(row).encode() for row in rows)
    return client.post("/api/models/alice/x/commit/main", content=body).status_code


def test_commits_do_not_interleave(root: Path, clients: list[httpx2.Client]) -> None:
    """Each builds on the one before; no file is lost."""

    def write(writer: int) -> list[int]:
        return [commit(clients[writer], f"w{writer}/f{n}") for n in range(COMMITS_EACH)]

    with ThreadPoolExecutor(WRITERS) as pool:
        statuses = list(pool.map(write, range(WRITERS)))

    folder = root / "models/alice/x.git"
    assert {status for each in statuses for status in each} == {200}
    assert len(git(folder, "rev-list", "main").split()) == WRITERS * COMMITS_EACH + 1
    files = git(folder, "ls-tree", "-r", "--name-only", "main").split()
    assert len(files) == WRITERS * COMMITS_EACH + 1
    require_sound(folder)


def test_one_of_many_wins(root: Path, clients: list[httpx2.Client]) -> None:
    """Of those who build on one commit the first lands, and the others are told to look again."""
    parent = git(root / "models/alice/x.git", "rev-parse", "main").strip()

    with ThreadPoolExecutor(WRITERS) as pool:
        statuses = list(pool.map(lambda n: commit(clients[n], f"f{n}", parent), range(WRITERS)))

    assert sorted(statuses) == [200, 412, 412, 412]


def test_one_of_many_makes_the_tag(clients: list[httpx2.Client]) -> None:
    """Two cannot both believe that they set it."""
    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(
            pool.map(
                lambda client: client.post("/api/models/alice/x/tag/main", json={"tag": "v1"}),
                clients,
            )
        )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


def test_one_of_many_makes_the_repository(root: Path, clients: list[httpx2.Client]) -> None:
    """The others are told that it is there, with its address."""
    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(
            pool.map(lambda c: c.post("/api/repos/create", json={"name": "new"}), clients)
        )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert all(answer.json()["url"].endswith("/alice/new") for answer in answers)
    require_sound(root / "models/alice/new.git")


def test_an_upload_address_is_known_to_both(clients: list[httpx2.Client]) -> None:
    """They share the key that signs it, and the folder that it fills."""
    oid = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of "x"
    asked = {"operation": "upload", "objects": [{"oid": oid, "size": 1}]}
    row = clients[0].post("/alice/x.git/info/lfs/objects/batch", json=asked).json()["objects"][0]
    word = row["actions"]["upload"]["href"].rpartition("/")[2]

    assert clients[1].put(f"/_lfs/{word}", content=b"x").status_code == 200
    row = clients[0].post("/alice/x.git/info/lfs/objects/batch", json=asked).json()["objects"][0]
    assert "actions" not in row
