"""One Hub for the tests of a file; each test has a repository of its own."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi, constants

from tests.support.git import git, require_sound
from tests.support.local_hub import LocalHub, local_hub

PART_BYTES = 1 << 18


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """Return a Hub that answers, and takes large files in small parts."""
    root = tmp_path_factory.mktemp("hub") / "data"
    with local_hub(root, part_bytes=PART_BYTES, webhook_pause_seconds=0.01) as running:
        yield running


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client ask the Hub on loopback: all other tests forbid it to ask anything."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def api(hub: LocalHub) -> Iterator[HfApi]:
    """Return the real client with the owner's token; whatever goes wrong is over afterwards."""
    yield hub.api()
    hub.faults.clear()


@pytest.fixture
def repo_id(hub: LocalHub, api: HfApi) -> str:
    """Return a repository of this test's own."""
    made = f"acme/model-{len(list((hub.root / 'models' / 'acme').glob('*')))}"
    api.create_repo(made)
    return made


@pytest.fixture(scope="module")
def still(hub: LocalHub, raw: httpx2.Client) -> Iterator[str]:
    """Return one repository for all tests that try to change it, and must not succeed."""
    raw.post("/api/repos/create", json={"name": "still", "organization": "acme"})
    yield "acme/still"
    require_sound(hub.folder("acme/still"))


@pytest.fixture(scope="module")
def raw(hub: LocalHub) -> Iterator[httpx2.Client]:
    """Return a plain client with the owner's token, for what the real one would never send."""
    headers = {"Authorization": f"Bearer {hub.write_token}"}
    with httpx2.Client(
        base_url=hub.endpoint, headers=headers, trust_env=False, timeout=60
    ) as client:
        yield client


@pytest.fixture(scope="module")
def anybody(hub: LocalHub) -> Iterator[httpx2.Client]:
    """Return a plain client without a token."""
    with httpx2.Client(base_url=hub.endpoint, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def unchanged(hub: LocalHub, still: str) -> Iterator[None]:
    """Require that the repository that must not change has not."""
    folder = hub.folder(still)
    before = git(folder, "for-each-ref")
    yield
    assert git(folder, "for-each-ref") == before


@pytest.fixture
def folder(hub: LocalHub, repo_id: str) -> Path:
    """Return where this test's repository is on the disk."""
    return hub.folder(repo_id)
