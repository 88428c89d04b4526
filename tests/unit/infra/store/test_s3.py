"""A store in a bucket: what is particular to it."""

import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from infra.errors import CorruptArtifactError, StorageError
from infra.s3.address import Object, split
from infra.s3.client import S3
from infra.store import ArtifactRef, Place, Store, fingerprint, open_store, transfer
from infra.store.bucket import Bucket as Objects
from infra.store.leases import Leases, Sighting
from infra.store.s3 import S3Store
from tests.support.bucket import Bucket
from tests.support.unlisted import listing_nothing

KEY = fingerprint({"step": "test"})
LARGE = transfer.PIECE_BYTES * 2 + 12345  # three pieces


@pytest.fixture
def opened(place: Place) -> Store:
    """Return a store below a fresh prefix."""
    return open_store(place)


def prefix(place: Place) -> str:
    """Return the prefix of a place's store."""
    return split(str(place.store.uri)).key


def flip(server: Bucket, key: str) -> None:
    """Change one bit of an object, behind everybody's back."""
    data = bytearray(server.get(key))
    data[len(data) // 2] ^= 1
    server.put(key, bytes(data))


def large(tmp_path: Path) -> Path:
    """Return a file that is sent in parts."""
    (tmp_path / "large").write_bytes(os.urandom(LARGE))
    return tmp_path / "large"


def test_objects_and_manifests_lie_below_the_prefix(
    opened: Store, place: Place, server: Bucket
) -> None:
    """As the documentation says, and nothing else does: the probe has tidied up."""
    ref = opened.put_bytes(b"weights")
    opened.record(KEY, {"codes": ref.model_dump()})

    names = [f"{prefix(place)}/{ref.uri}", f"{prefix(place)}/manifests/{KEY}.json"]
    assert server.keys(prefix(place)) == names


def test_a_store_may_have_a_whole_bucket(server: Bucket, place: Place) -> None:
    """Without a prefix."""
    whole = place.store.model_copy(update={"uri": f"s3://{server.name}"})
    store = open_store(place.model_copy(update={"store": whole}))

    ref = store.put_bytes(b"no prefix")

    assert server.get(ref.uri) == store.open(ref).read_bytes() == b"no prefix"


def test_a_large_file_is_sent_and_fetched_in_pieces(
    opened: Store, tmp_path: Path, server: Bucket
) -> None:
    """Bit for bit, and no upload is left open."""
    source = large(tmp_path)

    ref = opened.put_file(source)

    assert opened.open(ref).read_bytes() == source.read_bytes()
    assert server.uploads() == []


def test_a_large_file_is_not_sent_twice(
    opened: Store, place: Place, tmp_path: Path, server: Bucket
) -> None:
    """One that is there in its full length is taken as it is."""
    source = large(tmp_path)
    ref = opened.put_file(source)
    flip(server, f"{prefix(place)}/{ref.uri}")
    flipped = server.get(f"{prefix(place)}/{ref.uri}")

    opened.put_file(source)

    assert flipped == server.get(f"{prefix(place)}/{ref.uri}")


class Meddler(S3):
    """A client behind whose back somebody writes to the file that it sends."""

    file: Path

    def call(
        self,
        operation: str,
        place: Object,
        doing: str,
        parameters: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:
        """Answer, and let the file grow with every part."""
        if operation == "upload_part":
            with self.file.open("ab") as file:
                file.write(b"more")
        return super().call(operation, place, doing, parameters)


def test_a_file_that_changes_while_it_is_sent_is_not_stored(
    place: Place, tmp_path: Path, server: Bucket
) -> None:
    """The object does not appear, and its parts are dropped."""
    client = Meddler(place.store.service)
    client.file = large(tmp_path)
    store = S3Store(Objects(client, split(str(place.store.uri))), tmp_path / "copies")

    with pytest.raises(StorageError, match="was written to while it was stored"):
        store.put_file(client.file)

    assert server.uploads() == server.keys(prefix(place)) == []


@pytest.mark.parametrize("size", [1000, LARGE], ids=["small", "large"])
def test_a_corrupt_object_is_named_never_used_and_mended(
    opened: Store, place: Place, tmp_path: Path, server: Bucket, size: int
) -> None:
    """Digest, bucket, key and remedy are said; the step that stores it again repairs it."""
    (tmp_path / "file").write_bytes(os.urandom(size))
    ref = opened.put_file(tmp_path / "file")
    key = f"{prefix(place)}/{ref.uri}"
    flip(server, key)

    with pytest.raises(CorruptArtifactError, match="Storing the right content again") as caught:
        opened.open(ref)
    left = list((place.local / "objects").rglob(f"*{ref.sha256}*"))
    open_store(place).put_file(tmp_path / "file")

    assert all(word in str(caught.value) for word in (ref.sha256, server.name, key))
    assert [path.parent.name for path in left] == ["corrupt"]
    assert opened.open(ref).read_bytes() == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_a_damaged_copy_is_fetched_again(opened: Store, damage: str) -> None:
    """What lies on this machine is checked at every opening, and is no truth."""
    ref = opened.put_bytes(b"weights")
    path = opened.open(ref)
    path.chmod(0o644)
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes({"flip": b"weighTs", "cut": b"weig"}[damage])

    assert opened.open(ref).read_bytes() == b"weights"


def test_a_copy_is_read_without_the_service(opened: Store, place: Place, server: Bucket) -> None:
    """It was fetched once; and nobody may write to it by mistake."""
    ref = opened.put_bytes(b"weights")
    path = opened.open(ref)
    flip(server, f"{prefix(place)}/{ref.uri}")

    assert opened.open(ref).read_bytes() == b"weights"
    assert not path.stat().st_mode & stat.S_IWUSR


@pytest.mark.parametrize("data", [b"", b'{"half": ', b"[1]", b"\xff\xfe"])
def test_a_corrupt_manifest_is_named(
    opened: Store, place: Place, server: Bucket, data: bytes
) -> None:
    """A manifest that is no JSON object is never taken for "not run yet"."""
    server.put(f"{prefix(place)}/manifests/{KEY}.json", data)

    with pytest.raises(CorruptArtifactError, match=rf"{server.name}.*{KEY}"):
        opened.find(KEY)


def test_no_room_for_a_copy_says_so(opened: Store, place: Place) -> None:
    """It is this machine's fault, and is told as one."""
    ref = opened.put_bytes(b"weights")
    place.local.mkdir()
    (place.local / "objects").write_bytes(b"a file where a folder should be")

    with pytest.raises(StorageError, match="Choose a folder"):
        opened.open(ref)


def test_a_full_disk_says_so_and_leaves_nothing(opened: Store, place: Place) -> None:
    """A copy beyond the file-size limit is not kept by halves."""
    ref = opened.put_bytes(bytes(5000))
    program = (
        "import resource, signal, sys\n"
        "from infra.errors import DiskFullError; from infra.store import ArtifactRef, Place\n"
        "from infra.store import open_store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "store = open_store(Place.model_validate_json(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: store.open(ArtifactRef.model_validate_json(sys.argv[2]))\n"
        "except DiskFullError as error: print(error)\n"
    )

    limited = subprocess.run(
        [sys.executable, "-c", program, place.model_dump_json(), ref.model_dump_json()],
        check=True,
        capture_output=True,
        text=True,
    )

    assert "No room while writing" in limited.stdout
    assert [path for path in place.local.rglob("*") if path.is_file()] == []


def test_a_listing_is_no_truth(place: Place) -> None:
    """Where nothing is ever listed, objects, manifests and leases are found all the same."""
    with listing_nothing() as (endpoint, service):
        address = place.store.model_copy(update={"endpoint": endpoint})
        store = open_store(place.model_copy(update={"store": address}))
        ref: ArtifactRef = store.put_bytes(b"codes")
        store.record(KEY, {"codes": ref.model_dump()})
        with Leases(store.registers()).held("block 7") as lease:
            assert isinstance(Leases(store.registers()).attempt("block 7", None), Sighting)
            lease.confirm()
        found = store.find(KEY)
        asked = service.listed

        assert store.put_bytes(b"codes") == ref
        assert store.open(ref).read_bytes() == b"codes"
        assert found == {"codes": ref.model_dump()}
        assert asked == 0
        assert list(store.inventory().objects()) == []  # so they were indeed not listed
        assert service.listed > 0
