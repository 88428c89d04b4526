"""A process that cannot be started is named, with what to do."""

from pathlib import Path

import pytest

from flows.errors import ServerError
from flows.service.members import Receiver, kept_receiver
from flows.service.workers import Client
from infra.ports import listening_socket


def test_the_receivers_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """No other one is taken instead: the Hub was told this one."""
    with listening_socket("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        wanted = Receiver(tmp_path, (), "127.0.0.1", port, Client("http://127.0.0.1:1/api", {}))

        with pytest.raises(ServerError) as told:
            kept_receiver(wanted).ensure(tmp_path / "records")

    assert f"The receiver of webhooks cannot listen on 127.0.0.1, port {port}" in str(told.value)
    assert "--webhook-port" in str(told.value)
    assert list((tmp_path / "records").glob("*.json")) == []
