"""Something on loopback that webhooks are delivered to."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple


class Heard(NamedTuple):
    """One delivery."""

    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Listener:
    """What hears, and how it answers: first as listed, then with 200."""

    url: str
    heard: list[Heard] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Listener]:
    """Listen until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.listener = Listener(f"http://127.0.0.1:{server.server_address[1]}/hook")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.listener
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    listener: Listener


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        listener = self.server.listener
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = listener.answers.pop(0) if listener.answers else 200
        if status == 200:
            listener.heard.append(Heard(dict(self.headers), body))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", listener.url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as inherited
        """Stay silent."""
