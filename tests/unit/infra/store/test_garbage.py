"""What is wrong with a store is found, and what it keeps for nobody is removed."""

import os
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.errors import CorruptArtifactError, StoreError
from infra.s3.address import split
from infra.store import ArtifactRef, FolderStore, Place, Store, fingerprint, open_store
from infra.store.audit import audit
from infra.store.garbage import Garbage, find_garbage, remove_garbage
from tests.support.bucket import Bucket

KEY = fingerprint({"step": "test"})
DAYS = 3.0


class Held(NamedTuple):
    """A store with one object that a manifest names, deep inside, and one that none does."""

    store: Store
    named: ArtifactRef
    orphan: ArtifactRef


@pytest.fixture
def held(store: Store) -> Held:
    """Fill a store of each kind."""
    named, orphan = store.put_bytes(b"named"), store.put_bytes(b"orphan")
    deep = {"outcome": [{"codes": {"extra": 1, **named.model_dump()}}], "sha256": orphan.sha256}
    store.record(KEY, deep)
    return Held(store, named, orphan)


def test_a_sound_store_is_called_sound(held: Held) -> None:
    """Everything is counted; what no manifest names is told, and is no damage."""
    found = audit(held.store.inventory())

    assert found.sound
    assert (found.objects, found.bytes, found.manifests) == (2, len(b"namedorphan"), 1)
    assert [kept.digest for kept in found.orphans] == [held.orphan.sha256]


def test_a_corrupt_object_is_found(
    held: Held, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """By its bytes, which are read; it is named with its place."""
    path = tmp_path / "root" / held.named.uri
    if path.exists():
        path.chmod(0o644)
        path.write_bytes(b"nAmed")
    else:
        place, server = _bucket(request)
        server.put(f"{split(str(place.store.uri)).key}/{held.named.uri}", b"nAmed")

    found = audit(held.store.inventory())

    assert not found.sound
    assert len(found.corrupt) == 1
    assert held.named.sha256 in found.corrupt[0]
    assert found.missing == ()


def test_a_missing_object_is_found(held: Held) -> None:
    """With the manifest that names it."""
    held.store.inventory().remove(held.named.sha256)

    found = audit(held.store.inventory())

    assert (found.sound, len(found.missing)) == (False, 1)
    assert held.named.sha256 in found.missing[0]
    assert KEY in found.missing[0]


def test_a_manifest_that_cannot_be_read_is_found_and_stops_the_collection(
    tmp_path: Path,
) -> None:
    """Nobody knows what it names: everything could be."""
    store = FolderStore(tmp_path)
    store.record(KEY, {})
    (tmp_path / "manifests" / f"{KEY}.json").write_bytes(b"{")

    found = audit(store.inventory())

    assert KEY in found.corrupt[0]
    with pytest.raises(CorruptArtifactError, match=KEY):
        find_garbage(store.inventory(), DAYS)


def test_what_no_manifest_names_goes_when_it_is_old(tmp_path: Path) -> None:
    """And nothing else does."""
    store = FolderStore(tmp_path)
    named, orphan, young = (store.put_bytes(data) for data in (b"named", b"orphan", b"young"))
    store.record(KEY, {"codes": [named.model_dump()]})
    _age(tmp_path / named.uri, DAYS + 1)
    _age(tmp_path / orphan.uri, DAYS + 1)

    garbage = find_garbage(store.inventory(), DAYS)
    remove_garbage(store.inventory(), garbage, DAYS)

    assert [kept.digest for kept in garbage.objects] == [orphan.sha256]
    assert garbage.bytes == len(b"orphan")
    left = {path.name for path in (tmp_path / "cas").rglob("*") if path.is_file()}
    assert left == {named.sha256, young.sha256}


def test_what_was_stored_again_is_young(tmp_path: Path) -> None:
    """Work that has just found its object there must not lose it, even between two looks."""
    store = FolderStore(tmp_path)
    orphan = store.put_bytes(b"orphan")
    _age(tmp_path / orphan.uri, DAYS + 1)
    garbage = find_garbage(store.inventory(), DAYS)

    store.put_bytes(b"orphan")
    remove_garbage(store.inventory(), garbage, DAYS)

    assert len(garbage.objects) == 1
    assert store.open(orphan).read_bytes() == b"orphan"


def test_what_was_put_on_record_meanwhile_stays(tmp_path: Path) -> None:
    """Its manifest came after the look, or a listing that was late has missed it."""
    store = FolderStore(tmp_path)
    found = store.put_bytes(b"found")
    _age(tmp_path / found.uri, DAYS + 1)
    garbage = find_garbage(store.inventory(), DAYS)
    store.record(KEY, {"codes": found.model_dump()})

    remove_garbage(store.inventory(), garbage, DAYS)

    assert [kept.digest for kept in garbage.objects] == [found.sha256]
    assert store.open(found).read_bytes() == b"found"


def test_nothing_young_is_garbage(held: Held) -> None:
    """Objects of work that is under way have no manifest yet."""
    assert find_garbage(held.store.inventory(), DAYS) == Garbage((), ())


@pytest.mark.parametrize("days", [0, 0.5, -1])
def test_less_than_a_day_is_refused(held: Held, days: float) -> None:
    """As it would take objects from work under way."""
    with pytest.raises(StoreError, match="not on record yet"):
        find_garbage(held.store.inventory(), days)


def test_what_killed_writers_left_in_a_folder_is_removed(tmp_path: Path) -> None:
    """Temporary files of long ago."""
    store = FolderStore(tmp_path)
    store.put_bytes(b"anything")
    (tmp_path / "tmp" / "half").write_bytes(b"half")
    _age(tmp_path / "tmp" / "half", DAYS + 1)

    garbage = find_garbage(store.inventory(), DAYS)
    remove_garbage(store.inventory(), garbage, DAYS)

    assert garbage.bytes == len(b"half")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_killed_writers_left_in_a_bucket_is_removed(place: Place, server: Bucket) -> None:
    """Uploads that nobody completed, objects of probes, and copies that nobody used for long."""
    store, prefix = open_store(place), split(str(place.store.uri)).key
    ref = store.put_bytes(b"named")
    store.record(KEY, ref.model_dump())
    copy = store.open(ref)
    _age(copy, DAYS + 1)
    server.begin_upload(f"{prefix}/cas/sha256/aa/half")
    server.put(f"{prefix}/probe/old", b"1")
    server.put(f"{prefix}x/probe/old", b"of a neighbour")
    inventory = store.inventory()

    leftovers = tuple(inventory.leftovers(-1.0))  # the bucket's are as old as this test
    remove_garbage(inventory, Garbage((), leftovers), DAYS)

    assert {Path(rest.place).name.partition("?")[0] for rest in leftovers} == {
        "half", "old", ref.sha256,
    }  # fmt: skip
    assert server.uploads() == []
    assert server.keys(f"{prefix}/probe") == []
    assert not copy.exists()
    assert store.open(ref).read_bytes() == b"named"
    assert server.keys(f"{prefix}x") == [f"{prefix}x/probe/old"]


def test_a_copy_in_use_stays(place: Place) -> None:
    """Opening it counts as use."""
    store = open_store(place)
    ref = store.put_bytes(b"named")
    copy = store.open(ref)
    _age(copy, DAYS + 1)
    store.open(ref)

    assert find_garbage(store.inventory(), DAYS).leftovers == ()


def _bucket(request: pytest.FixtureRequest) -> tuple[Place, Bucket]:
    return request.getfixturevalue("place"), request.getfixturevalue("server")


def _age(path: Path, days: float) -> None:
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))
