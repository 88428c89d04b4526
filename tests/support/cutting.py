"""A connection between a client and a server that can be counted, and cut."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

CHUNK = 4096


@dataclass(slots=True)
class Between:
    """Passes bytes on from ``port`` to a server: counts its answers, and cuts some of them."""

    server: tuple[str, int]
    port: int = 0
    passed: int = 0  # bytes of answers
    cuts: int = 0  # answers that are still to be cut
    after: int = 0  # bytes of an answer that pass before the cut
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self, times: int, after: int) -> None:
        """Cut the next connections, each behind so many bytes."""
        self.cuts, self.after = times, after

    def pass_on(self, client: socket.socket) -> None:
        """Serve one connection."""
        with client, socket.create_connection(self.server) as upstream:
            back = threading.Thread(target=self._answers, args=(upstream, client))
            back.start()
            with suppress(OSError):
                while data := client.recv(CHUNK):
                    upstream.sendall(data)
            with suppress(OSError):
                upstream.shutdown(socket.SHUT_WR)
            back.join()

    def _answers(self, upstream: socket.socket, client: socket.socket) -> None:
        here = 0
        with suppress(OSError):
            while data := upstream.recv(CHUNK):
                here += len(data)
                self.passed += len(data)
                if self.cuts and here > self.after:
                    self.cuts -= 1
                    break
                client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def between(address: str) -> Iterator[Between]:
    """Stand between clients and the server at ``http://host:port``."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        middle = Between((host, int(port)), listener.getsockname()[1])
        threads: list[threading.Thread] = []
        accepting = threading.Thread(target=_accept, args=(listener, middle, threads))
        accepting.start()
        try:
            yield middle
        finally:
            middle.done.set()
            accepting.join()


def _accept(listener: socket.socket, middle: Between, threads: list[threading.Thread]) -> None:
    while not middle.done.is_set():
        try:
            client, _ = listener.accept()
        except TimeoutError:
            continue
        threads.append(threading.Thread(target=middle.pass_on, args=(client,), daemon=True))
        threads[-1].start()
