"""One Hub for all tests of publishing; each test has a repository of its own."""

import hashlib
from collections.abc import Iterator

import pytest

from infra.publishing.hub import Hub
from tests.support.local_hub import LocalHub, local_hub
from tests.support.publishing import hub_of, online


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """Return a Hub that answers."""
    with local_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(autouse=True)
def _online(server: LocalHub) -> Iterator[None]:
    """Let the client ask, and let nothing go wrong that the test did not order."""
    with online():
        yield
    server.faults.clear()


@pytest.fixture
def hub(server: LocalHub) -> Hub:
    """Return the Hub with the owner's token."""
    return hub_of(server)


@pytest.fixture
def repo_id(request: pytest.FixtureRequest) -> str:
    """Return the name of a repository that is not there yet, and is no other test's."""
    return f"acme/m{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"
