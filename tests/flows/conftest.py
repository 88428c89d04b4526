"""Flows run in this process, against the session's server."""

from collections.abc import Iterator

import pytest
from prefect.settings import temporary_settings

CLIENT = {
    "flows.heartbeat_frequency": None,  # its thread costs a second a flow run
    "server.analytics_enabled": False,
    "logging.level": "WARNING",
}


@pytest.fixture(autouse=True)
def _prefect(prefect_api_url: str) -> Iterator[None]:
    with temporary_settings({**CLIENT, "api.url": prefect_api_url}):
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything below this folder."""
    for item in items:
        if "tests/flows" in item.path.as_posix():
            item.add_marker("flows")
