"""Objects below a prefix: conditions, ranges and listings, against the real client."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.errors import ObjectConditionError
from infra.s3.address import Object, Service
from infra.s3.client import S3
from infra.store.bucket import Bucket as Objects
from tests.support.bucket import Bucket

PAGE = 1000  # entries that a service lists at once


@pytest.fixture(scope="module")
def client(server: Bucket) -> S3:
    """Return a client of the server."""
    return S3(Service(server.endpoint))


@pytest.fixture
def objects(client: S3, server: Bucket) -> Objects:
    """Return the objects below a fresh prefix."""
    return Objects(client, Object(server.name, secrets.token_hex(4)))


def test_what_is_made_once_is_not_made_again(objects: Objects) -> None:
    """The first content stays; who wrote just that may believe that it was he."""
    version = objects.create("key", b"first")

    assert version is not None
    assert objects.create("key", b"second") is None
    assert objects.create("key", b"first") == version
    assert objects.read("key") == (b"first", version)


def test_a_version_is_swapped_once(objects: Objects) -> None:
    """Whoever comes from an older one is refused, and from none."""
    first = objects.write("key", b"first")
    second = objects.swap("key", b"second", first)

    assert second is not None
    assert objects.swap("key", b"third", first) is None
    assert objects.swap("none", b"third", first) is None
    assert objects.read("key") == (b"second", second)
    assert objects.read("none") is None


def test_a_stretch_is_of_the_version_that_is_meant(objects: Objects) -> None:
    """A reader never mixes two versions of an object."""
    version = objects.write("key", b"0123456789")

    assert objects.read_part("key", version, 2, 3) == b"234"
    objects.write("key", b"other bytes")
    with pytest.raises(ObjectConditionError):
        objects.read_part("key", version, 2, 3)


def test_what_is_deleted_is_gone(objects: Objects) -> None:
    """And may be deleted again."""
    objects.write("key", b"data")

    for _ in range(2):
        objects.delete("key")
    assert objects.look("key") is None


def test_a_listing_of_many_pages_is_whole(objects: Objects) -> None:
    """What it left out would be taken for garbage."""
    names = {f"many/{number}" for number in range(PAGE + 1)}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: objects.write(name, b"1"), names))
    objects.write("manyfold/1", b"a neighbour")

    listed = list(objects.entries("many"))

    assert {entry.key for entry in listed} == names
    assert len(listed) == len(names)
    assert all(0 <= entry.age < 600 for entry in listed)


def test_age_is_told_by_the_service(objects: Objects) -> None:
    """Whatever this machine's clock says."""
    objects.write("key", b"data")
    entry = objects.look("key")

    assert entry is not None
    assert (entry.key, entry.size) == ("key", 4)
    assert 0 <= entry.age < 60
