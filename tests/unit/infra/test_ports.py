"""A port is bound before anything is started on it."""

import socket

import pytest

from infra.ports import listening_socket, reserving_socket

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


def test_a_port_that_somebody_is_about_to_use_is_given_to_nobody_else() -> None:
    """The second of two starts at once takes another, and both can listen where they are told."""
    with (
        reserving_socket(LOOPBACK, 0) as first,
        reserving_socket(LOOPBACK, port(first), 0) as second,
    ):
        assert port(first) != port(second)
        listening_socket(LOOPBACK, port(first)).close()
        listening_socket(LOOPBACK, port(second)).close()


def test_the_only_port_that_is_wanted_is_refused_while_it_is_reserved() -> None:
    """As one that is in use, and no longer than that."""
    with reserving_socket(LOOPBACK, 0) as first:
        number = port(first)
        with pytest.raises(OSError, match="in use"):
            reserving_socket(LOOPBACK, number)
    reserving_socket(LOOPBACK, number).close()


def test_a_port_that_is_listened_on_is_not_reserved() -> None:
    """The next of those that are wanted is."""
    with (
        listening_socket(LOOPBACK, 0) as other,
        reserving_socket(LOOPBACK, port(other), 0) as found,
    ):
        assert port(found) != port(other)


def port(bound: socket.socket) -> int:
    """Return where a socket is bound."""
    number: int = bound.getsockname()[1]
    return number
