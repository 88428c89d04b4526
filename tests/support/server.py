"""One Prefect server for a whole session of tests, started by the project's own code."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def prefect_workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a workspace whose server is running; it is stopped after the last test."""
    from flows import server  # noqa: PLC0415 -- Prefect takes seconds, which most tests need not pay
    from flows.embedded import HOST  # noqa: PLC0415 -- as above
    from flows.server_process import Wanted  # noqa: PLC0415 -- as above

    workspace = tmp_path_factory.mktemp("prefect-workspace")
    server.ensure(workspace, Wanted(HOST, 0))  # its own, also where tests run side by side
    yield workspace
    server.send_what_is_left()  # or the end of this process waits for a server that is gone
    server.stop(workspace)


@pytest.fixture(scope="session")
def prefect_api_url(prefect_workspace: Path) -> str:
    """Return the address of the session's server."""
    from flows import server  # noqa: PLC0415 -- as above

    record = server.read_record(prefect_workspace)
    assert record is not None
    return record.api_url
