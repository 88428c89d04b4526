"""An S3 server whose listings are late for ever: what was written is there, and never listed."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

HOST = "127.0.0.1"
NOTHING = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"
)


class Unlisted:
    """An application in front of moto's, which answers every listing itself."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self.listed = 0

    def __call__(self, environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if "list-type=2" not in environment.get("QUERY_STRING", ""):
            return self._application(environment, start)
        self.listed += 1
        start("200 OK", [("Content-Type", "application/xml")])
        return [NOTHING]


@contextmanager
def listing_nothing() -> Iterator[tuple[str, Unlisted]]:
    """Serve the buckets of this process once more; yield the address, and what answers there."""
    application = Unlisted(DomainDispatcherApplication(create_backend_app))
    server = make_server(HOST, 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}", application
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
