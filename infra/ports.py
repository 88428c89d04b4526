"""Ports of this machine, bound before anything else is started, so that one in use is known."""

import socket

TRIES = 8  # for any that is free: somebody else may get the same one at the same moment


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: An address of this machine.
        port: Its port; 0 for any that is free.

    Raises:
        OSError: The port is taken, or the host is not this machine's.
    """
    # the protocol by name: asyncio sends answers at once (TCP_NODELAY) only where it sees it
    listener = _socket(host, port, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


def reserving_socket(host: str, *wanted: int) -> socket.socket:
    """Return what keeps a port for a process that we start, until it listens there.

    A process needs seconds until it binds its port, and a second one that is started meanwhile
    would choose the same: one of them then fails, and whoever waits for it hears the other.  So
    the UDP port of the same number is held, for which the process itself has no use.  The system
    gives it to one alone, and lets go of it however we end.

    Args:
        host: An address of this machine.
        wanted: Ports, the first of which that is free is taken; 0 for any.

    Raises:
        OSError: All are taken, or the host is not this machine's.
    """
    refused: OSError | None = None
    for port in wanted:
        for _ in range(1 if port else TRIES):
            try:
                return _reserve(host, port)
            except OSError as error:
                refused = error
    raise refused or ValueError("no port is wanted")


def _reserve(host: str, port: int) -> socket.socket:
    with listening_socket(host, port) as listener:
        found = listener.getsockname()[1]
        reservation = _socket(host, found, socket.SOCK_DGRAM, socket.IPPROTO_UDP)
        try:
            reservation.bind((host, found))
        except BaseException:
            reservation.close()
            raise
        return reservation


def _socket(host: str, port: int, kind: socket.SocketKind, protocol: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=kind)[0][0]
    return socket.socket(family, kind, protocol)
