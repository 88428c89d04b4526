"""How a Hub begins and ends."""

import signal
import socket
from pathlib import Path

import httpx2
import pytest

from infra.errors import HubPortError, StorageError
from infra.local_hub.access import issue_token
from infra.local_hub.serving import serving
from infra.local_hub.settings import HubSettings
from tests.support.hub_process import hub_process


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """It is said before anything is served."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(HubPortError, match=f"port {port}"),
            serving(HubSettings(root=tmp_path), port=port),
        ):
            pass


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    """It is said at the start, and not at the first request."""
    (tmp_path / "hub").write_text("")

    with pytest.raises(StorageError), serving(HubSettings(root=tmp_path / "hub")):
        pass


def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    """With 0, and with nothing left that listens."""
    with hub_process(tmp_path) as hub:
        hub.process.send_signal(signal.SIGTERM)

        assert hub.process.wait(timeout=60) == 0
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(hub.endpoint, trust_env=False)


def test_a_public_address_stands_in_what_is_told(tmp_path: Path) -> None:
    """Behind a proxy clients call it otherwise than the proxy does."""
    token = issue_token(tmp_path, "alice")
    settings = HubSettings(root=tmp_path, public_url="https://hub.example.org")
    with serving(settings) as hub:
        answer = httpx2.post(
            f"{hub.endpoint}/api/repos/create",
            json={"name": "x"},
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
        )

    assert answer.json()["url"] == "https://hub.example.org/alice/x"
