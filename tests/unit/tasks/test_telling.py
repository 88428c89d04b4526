"""A page that cannot be reached costs a warning, and nothing else."""

import logging
import socket
from collections.abc import Iterator

import pytest
from prefect.settings import temporary_settings

from tasks.telling import ProgressBar, artifact_key, tell_markdown, tell_table

pytestmark = pytest.mark.filterwarnings("ignore:Artifact creation outside:FutureWarning")


@pytest.fixture
def _nobody_answers() -> Iterator[None]:
    """Point Prefect's client at a port of this machine where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/api"
        with temporary_settings({"api.url": url, "client.max_retries": 0}):
            yield


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what this module warned of."""
    return [r.getMessage() for r in caplog.records if r.name == "tasks.telling"]


@pytest.mark.usefixtures("_nobody_answers")
def test_a_bar_nobody_hears_of_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each value is lost, the run goes on, and one line says which bar and why."""
    bar = ProgressBar("segment-text-1", "share of blocks")
    with caplog.at_level(logging.WARNING, logger="tasks.telling"):
        for percent in (0.0, 50.0, 100.0):
            bar.show(percent)

    (warning,) = warnings_in(caplog)
    assert "segment-text-1" in warning
    assert "The work goes on" in warning


@pytest.mark.usefixtures("_nobody_answers")
def test_a_table_and_a_text_are_lost_as_quietly(caplog: pytest.LogCaptureFixture) -> None:
    """What is told once is warned of each time, by its key."""
    with caplog.at_level(logging.WARNING, logger="tasks.telling"):
        tell_table([{"block": 1}], key="blocks", description="blocks")
        tell_markdown("# done", key="summary", description="summary")

    assert [
        key in warning
        for key, warning in zip(("blocks", "summary"), warnings_in(caplog), strict=True)
    ] == [True, True]


def test_artifact_keys_are_what_prefect_takes() -> None:
    """Lowercase letters, digits and dashes."""
    assert artifact_key("segment", "My_Set.v2", "1") == "segment-my-set-v2-1"
