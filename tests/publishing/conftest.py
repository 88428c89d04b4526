"""Publishing under every kind of trouble, on a Hub of its own."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.local_hub import LocalHub, local_hub
from tests.support.publishing import SHARD_BYTES, online


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """Return a Hub that answers; shards are uploaded to it in two parts."""
    with local_hub(tmp_path_factory.mktemp("hub"), part_bytes=SHARD_BYTES // 2 + 1) as running:
        yield running


@pytest.fixture(autouse=True)
def _online(server: LocalHub) -> Iterator[None]:
    """Let the client ask, and let nothing go wrong that the test did not order."""
    with online():
        yield
    server.faults.clear()


COUNTED = "counted"


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return what takes a sentence for the end of pytest's output, from whichever process."""
    return lambda sentence: record_property(COUNTED, sentence)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how many runs stand behind the tests of this folder."""
    for report in terminalreporter.getreports("passed"):
        for name, sentence in report.user_properties:
            if name == COUNTED:
                terminalreporter.write_line(sentence)
