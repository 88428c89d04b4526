"""A port is bound before anything is started on it."""

import socket

import pytest

from infra.ports import listening_socket

LOOPBACK = "127.0.0.1"


def test_any_free_port_is_listened_on() -> None:
    """Somebody can connect at once, and answers are not held back (the protocol is known)."""
    with listening_socket(LOOPBACK, 0) as listener, socket.socket() as caller:
        caller.connect(listener.getsockname())
        assert listener.proto == socket.IPPROTO_TCP


def test_a_port_in_use_is_refused() -> None:
    """As the system says it; whoever asked adds what it was for."""
    with listening_socket(LOOPBACK, 0) as other, pytest.raises(OSError, match="in use"):
        listening_socket(LOOPBACK, other.getsockname()[1])
