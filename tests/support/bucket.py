"""An S3 server on loopback, spoken to by the real client."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
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

    def get(self, key: str) -> bytes:
        """Return an object."""
        data: bytes = self._client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return data

    def remove(self, key: str) -> None:
        """Remove an object."""
        self._client.delete_object(Bucket=self.name, Key=key)

    def keys(self, prefix: str = "") -> list[str]:
        """Return the names of the objects that there are."""
        found = self._client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [entry["Key"] for entry in found.get("Contents", ())]

    def begin_upload(self, key: str) -> None:
        """Begin an upload in parts, and leave it."""
        self._client.create_multipart_upload(Bucket=self.name, Key=key)

    def uploads(self) -> list[str]:
        """Return the names of the objects whose upload is not complete."""
        found = self._client.list_multipart_uploads(Bucket=self.name)
        return [entry["Key"] for entry in found.get("Uploads", ())]

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()


@contextmanager
def keys_of_anyone() -> Iterator[pytest.MonkeyPatch]:
    """Give this process keys, and nothing of whoever runs the tests; yield what changes more."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            environment.delenv(name, raising=False)
        environment.setenv("AWS_ACCESS_KEY_ID", "anyone")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "anything")
        environment.setenv("AWS_CONFIG_FILE", "/dev/null")
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.setenv("AWS_MAX_ATTEMPTS", "1")
        yield environment


@contextmanager
def running_bucket(name: str = "tables") -> Iterator[Bucket]:
    """Run a server with one empty bucket.  The credentials in the environment may be any."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        bucket = Bucket(f"http://{host}:{port}", name)
        try:
            yield bucket
        finally:
            bucket.close()
    finally:
        server.stop()
