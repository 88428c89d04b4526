"""Stores of both kinds: what they do alike is asked of both."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.store import Place, Store, StoreAddress, open_store
from tests.support.bucket import Bucket, keys_of_anyone, running_bucket
from tests.support.places import place_at


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    """Run an S3 server for all tests of a file."""
    with keys_of_anyone(), running_bucket() as bucket:
        yield bucket


@pytest.fixture
def place(server: Bucket, tmp_path: Path) -> Place:
    """Return a place whose store is below a fresh prefix of the bucket."""
    uri = f"s3://{server.name}/{secrets.token_hex(4)}"
    return Place(workspace=tmp_path, store=StoreAddress(uri=uri, endpoint=server.endpoint))


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return a store of each kind, one after the other."""
    if request.param == "folder":
        return open_store(place_at(tmp_path / "root"))
    place: Place = request.getfixturevalue("place")
    return open_store(place)
