"""An S3 server that can be killed: `python -m tests.support.kept_bucket PORT JOURNAL BUCKET`.

It is moto, which keeps objects in memory, behind a journal.  Each request that changes something
is carried out alone, then written down, then answered; a new process first does again what is
written down.  So a client sees what S3 promises: what was answered is there, what was not may be,
and of two conditional writes one wins.  The journal is also the record of who wrote what, and when.
"""

import base64
import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

HOST = "127.0.0.1"
CHANGES_NOTHING = ("GET", "HEAD")
END = b"\n"


class Entry(NamedTuple):
    """One change that was carried out."""

    at: float  # seconds since the epoch
    method: str
    path: str
    body: bytes


class Journal:
    """The server's middle: carries changes out one at a time, and writes them down."""

    def __init__(self, application: WSGIApplication, path: Path) -> None:
        """Do again what is written down at ``path``."""
        self._application = application
        self._lock = threading.Lock()
        path.touch()
        whole = _whole_lines(path)
        for line in whole:
            environment = _environment(json.loads(line))
            run_wsgi_app(application, environment, buffered=True)
        os.truncate(path, sum(len(line) + len(END) for line in whole))
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)

    def __call__(
        self, environment: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request."""
        if environment["REQUEST_METHOD"] in CHANGES_NOTHING:
            return self._application(environment, start_response)
        body = environment["wsgi.input"].read(int(environment.get("CONTENT_LENGTH") or 0))
        with self._lock:
            environment["wsgi.input"] = BytesIO(body)
            told = {name: value for name, value in environment.items() if isinstance(value, str)}
            answer, status, headers = run_wsgi_app(self._application, environment, buffered=True)
            if status.startswith("2"):
                self._write(told, body)
        start_response(status, list(headers))
        return answer

    def _write(self, told: dict[str, str], body: bytes) -> None:
        line = {"at": time.time(), "told": told, "body": base64.b64encode(body).decode()}
        whole = json.dumps(line).encode() + END
        assert os.write(self._descriptor, whole) == len(whole)


def entries(path: Path, part: str) -> list[Entry]:
    """Return what is written down of keys with a ``part``, in the order of its doing."""
    return [
        Entry(
            line["at"],
            line["told"]["REQUEST_METHOD"],
            line["told"]["PATH_INFO"],
            base64.b64decode(line["body"]),
        )
        for line in (json.loads(line) for line in _whole_lines(path) if part.encode() in line)
        if part in line["told"]["PATH_INFO"]
    ]


def _whole_lines(path: Path) -> list[bytes]:
    """Return the lines of a journal, without a last one that a kill tore."""
    whole, _, _ = path.read_bytes().rpartition(END)
    return whole.split(END) if whole else []


def _environment(line: dict[str, Any]) -> WSGIEnvironment:
    return {
        **line["told"],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(base64.b64decode(line["body"])),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def serve(port: int, journal: Path, bucket: str) -> None:
    """Serve until the process ends."""
    application = Journal(DomainDispatcherApplication(create_backend_app), journal)
    if not journal.stat().st_size:
        _create(application, bucket, port)
    make_server(HOST, port, application, threaded=True).serve_forever()


def _create(application: Journal, bucket: str, port: int) -> None:
    request = {
        "told": {
            "REQUEST_METHOD": "PUT",
            "PATH_INFO": f"/{bucket}",
            "REQUEST_URI": f"/{bucket}",
            "RAW_URI": f"/{bucket}",
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "SERVER_NAME": HOST,
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": f"{HOST}:{port}",
        },
        "body": "",
    }
    _, status, _ = run_wsgi_app(application, _environment(request), buffered=True)
    assert status.startswith("2"), status


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
