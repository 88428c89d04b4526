"""What is said where a bucket cannot hold a store: the value, the place, the remedy, no secret."""

import json
import secrets
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from infra.errors import (
    BucketAccessError,
    BucketError,
    MissingBucketError,
    StoreUnfitError,
)
from infra.s3.address import Object
from infra.s3.client import S3
from infra.store import Place, StoreAddress, open_store
from infra.store.bucket import Bucket as Objects
from infra.store.probe import probe
from tests.support.bucket import Bucket, keys_of_anyone

SECRET = "anything"  # noqa: S105 -- of `keys_of_anyone`
ENFORCED, FREE = b"0", b"1000000000"


def at(server: Bucket, uri: str, workspace: Path) -> Place:
    """Return a place on a server."""
    return Place(workspace=workspace, store=StoreAddress(uri=uri, endpoint=server.endpoint))


@pytest.fixture
def strict(server: Bucket) -> Iterator[Bucket]:
    """Let the server look at keys and rights while a test runs."""
    with keys_of_anyone() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "administrator")
        client = boto3.client("iam", endpoint_url=server.endpoint, region_name="us-east-1")
        reader = f"reader-{secrets.token_hex(4)}"
        client.create_user(UserName=reader)
        document = {
            "Effect": "Allow",
            "Action": ["s3:List*", "s3:Get*", "s3:Head*"],
            "Resource": "*",
        }
        client.put_user_policy(
            UserName=reader,
            PolicyName="reads",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": document}),
        )
        key = client.create_access_key(UserName=reader)["AccessKey"]
        client.close()
        _authorization(server, ENFORCED)
        try:
            environment.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
            environment.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
            yield server
        finally:
            _authorization(server, FREE)


def _authorization(server: Bucket, free_requests: bytes) -> None:
    request = urllib.request.Request(  # noqa: S310 -- loopback
        f"{server.endpoint}/moto-api/reset-auth",
        data=free_requests,
        headers={"Content-Type": "text/plain"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 -- as above
        assert answer.status == 200


def test_a_missing_bucket_is_named(server: Bucket, tmp_path: Path) -> None:
    """With the service that was asked."""
    with pytest.raises(MissingBucketError, match=r"has no bucket 'nobody'") as caught:
        open_store(at(server, "s3://nobody/runs", tmp_path))

    assert server.endpoint in str(caught.value)


def test_keys_that_may_not_write_are_refused(strict: Bucket, tmp_path: Path) -> None:
    """At the start, and not after the first block."""
    with pytest.raises(BucketAccessError, match=r"while writing .*AccessDenied\. "):
        open_store(at(strict, f"s3://{strict.name}/denied", tmp_path))


def test_keys_that_nobody_knows_are_refused(
    strict: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables to look at are named, what they hold is not."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-nobody")

    with pytest.raises(BucketAccessError, match="AWS_SECRET_ACCESS_KEY") as caught:
        open_store(at(strict, f"s3://{strict.name}/unknown", tmp_path))

    assert "a-secret-of-nobody" not in str(caught.value)
    assert "AKIANOBODY" not in str(caught.value)


def test_no_keys_at_all_are_said(
    server: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a traceback of the client."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(BucketAccessError, match=r"NoCredentialsError.*AWS_PROFILE"):
        open_store(at(server, f"s3://{server.name}/none", tmp_path))


@pytest.mark.parametrize("uri", ["s3://", "s3:///runs"])
def test_an_address_without_a_bucket_is_refused(server: Bucket, uri: str, tmp_path: Path) -> None:
    """With how to write one."""
    with pytest.raises(BucketError, match="s3://bucket/prefix"):
        open_store(at(server, uri, tmp_path))


class Careless(Objects):
    """A bucket whose service writes whatever the condition, as some do."""

    def _write_if(self, key: str, data: bytes, condition: object) -> str:
        del condition
        return self.write(key, data)


class CarelessAboutVersions(Careless):
    """A bucket whose service knows If-None-Match alone."""

    def create(self, key: str, data: bytes) -> str | None:
        """Write an object that is not there yet."""
        return Objects._write_if(self, key, data, {"IfNoneMatch": "*"})


@pytest.mark.parametrize(
    ("kind", "fault"),
    [(Careless, r"\(If-None-Match\) twice"), (CarelessAboutVersions, r"version \(If-Match\)")],
)
def test_a_service_that_ignores_conditions_is_refused(
    server: Bucket, kind: type[Careless], fault: str
) -> None:
    """By the name of what it ignores; nothing of the probe stays."""
    prefix = secrets.token_hex(4)
    service = StoreAddress(endpoint=server.endpoint).service

    with pytest.raises(StoreUnfitError, match=fault) as caught:
        probe(kind(S3(service), Object(server.name, prefix)))

    assert f"s3://{server.name}/{prefix}" in str(caught.value)
    assert server.endpoint in str(caught.value)
    assert server.keys(prefix) == []


def test_a_process_asks_a_service_once(server: Bucket, tmp_path: Path) -> None:
    """Every task opens the store, and none should wait for a probe that was answered."""
    place = at(server, f"s3://{server.name}/once", tmp_path)

    first, second = open_store(place), open_store(place)

    assert first.bucket is second.bucket  # type: ignore[attr-defined]
