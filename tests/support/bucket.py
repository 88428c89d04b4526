"""An S3 server on loopback, spoken to by the real client."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from moto.server import ThreadedMotoServer


class Bucket:
    """One bucket of a running server."""

    def __init__(self, endpoint: str, name: str) -> None:
        """Make the bucket."""
        self.endpoint = endpoint
        self.name = name
        self._client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        self._client.create_bucket(Bucket=name)

    def put(self, key: str, data: bytes) -> None:
        """Store an object."""
        self._client.put_object(Bucket=self.name, Key=key, Body=data)

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()


@contextmanager
def running_bucket() -> Iterator[Bucket]:
    """Run a server with one empty bucket.  The credentials in the environment may be any."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        bucket = Bucket(f"http://{host}:{port}", "tables")
        try:
            yield bucket
        finally:
            bucket.close()
    finally:
        server.stop()
