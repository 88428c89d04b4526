"""What a store does, wherever it is."""

import hashlib
import os
from pathlib import Path

import pytest

from infra.errors import MissingArtifactError, StorageError, StoreError
from infra.store import ArtifactRef, Store, fingerprint

KEY = fingerprint({"step": "test"})


def test_what_is_stored_is_opened(store: Store, tmp_path: Path) -> None:
    """Bytes and files alike, empty ones too; the digest is the content's."""
    for data in (b"", b"weights", os.urandom(100_000)):
        (tmp_path / "file").write_bytes(data)

        ref = store.put_bytes(data)

        assert ref == store.put_file(tmp_path / "file")
        assert ref.sha256 == hashlib.sha256(data).hexdigest()
        assert data == store.open(ref).read_bytes()


def test_a_reference_is_the_same_in_every_store(store: Store) -> None:
    """What is on record in a folder can be moved to a bucket as it is."""
    ref = store.put_bytes(b"weights")

    assert ref.uri == f"cas/sha256/{ref.sha256[:2]}/{ref.sha256}"


def test_the_first_manifest_wins(store: Store) -> None:
    """Recording again changes nothing and returns what is on record."""
    assert store.find(KEY) is None
    assert store.record(KEY, {"by": "first"}) == {"by": "first"}
    assert store.record(KEY, {"by": "second"}) == {"by": "first"}
    assert store.find(KEY) == {"by": "first"}


def test_a_manifest_is_replaced(store: Store) -> None:
    """One that names lost objects makes room for one that does not; so does none."""
    store.replace(KEY, {"by": "first"})
    store.replace(KEY, {"by": "second"})

    assert store.find(KEY) == {"by": "second"}


def test_a_missing_object_is_named(store: Store) -> None:
    """A reference into another store says which object is not here."""
    digest = hashlib.sha256(b"elsewhere").hexdigest()

    with pytest.raises(MissingArtifactError, match=digest):
        store.open(ArtifactRef(uri="cas", sha256=digest))


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "A" * 64, "a" * 63])
def test_only_fingerprints_name_manifests(store: Store, bad: str) -> None:
    """Anything but 64 hexadecimal digits is refused before it becomes a name."""
    for act in (store.find, lambda name: store.record(name, {})):
        with pytest.raises(StoreError, match="64 hexadecimal digits"):
            act(bad)


def test_a_number_that_is_not_finite_is_refused(store: Store) -> None:
    """NaN cannot be written down."""
    with pytest.raises(StoreError, match="not finite"):
        store.record(KEY, {"loss": float("nan")})


def test_a_source_that_is_not_there_says_so(store: Store, tmp_path: Path) -> None:
    """Putting a file that does not exist names that file."""
    with pytest.raises(StorageError, match="nowhere"):
        store.put_file(tmp_path / "nowhere")
