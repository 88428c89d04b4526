"""The store gives back what was put, notices what has changed, and lets one writer win."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import (
    CorruptArtifactError,
    MissingArtifactError,
    NotWritableError,
    StorageError,
    StoreError,
)
from infra.store import ArtifactRef, FolderStore, Store, fingerprint

KEY = fingerprint({"step": "test"})

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.binary(max_size=3000))
@settings(deadline=None, max_examples=30)
def test_what_is_put_comes_back(data: bytes) -> None:
    """Any bytes, put as bytes or as a file, come back under the same reference."""
    with tempfile.TemporaryDirectory() as folder:
        store: Store = FolderStore(Path(folder) / "store")
        (Path(folder) / "file").write_bytes(data)

        ref = store.put_bytes(data)

        assert ref == store.put_file(Path(folder) / "file")
        assert ref.sha256 == hashlib.sha256(data).hexdigest()
        assert data == store.open(ref).read_bytes()


@given(st.dictionaries(st.text(), JSON, max_size=4))
@settings(deadline=None, max_examples=30)
def test_what_is_recorded_is_found(manifest: dict[str, object]) -> None:
    """Any JSON object is found again, whole, under its fingerprint."""
    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder))

        assert manifest == store.record(KEY, manifest)
        assert manifest == store.find(KEY)


def test_nothing_is_found_before_it_is_recorded(tmp_path: Path) -> None:
    """An empty store, or one whose folder does not exist yet, has no manifest."""
    assert FolderStore(tmp_path / "none").find(KEY) is None


def test_equal_content_is_stored_once(tmp_path: Path) -> None:
    """Putting a file of several pieces twice leaves one object and no temporary file."""
    store = FolderStore(tmp_path / "store")
    source = tmp_path / "large"
    source.write_bytes(os.urandom(3 << 20))

    first, second = store.put_file(source), store.put_file(source)

    assert first == second
    assert [store.root / first.uri] == [p for p in store.root.rglob("*") if p.is_file()]


def test_the_store_keeps_its_own_copy(tmp_path: Path) -> None:
    """A source file that is written to afterwards does not change the object."""
    store = FolderStore(tmp_path / "store")
    source = tmp_path / "file"
    source.write_bytes(b"before")

    ref = store.put_file(source)
    source.write_bytes(b"after!")

    expected = b"before"
    assert expected == store.open(ref).read_bytes()


def test_the_first_manifest_wins(tmp_path: Path) -> None:
    """Recording again changes nothing and returns what is on record."""
    store = FolderStore(tmp_path)
    store.record(KEY, {"by": "first"})

    on_record = store.record(KEY, {"by": "second"})

    assert on_record == {"by": "first"}
    assert on_record == store.find(KEY)


RACER = """
import sys
from pathlib import Path
from infra.store import FolderStore, fingerprint

store, name = FolderStore(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for step in range(100):
    store.put_bytes(b"shared" * 1000 + bytes([step]))
    print(store.record(fingerprint({"step": step}), {"by": name, "padding": "x" * 5000})["by"])
"""


def test_two_writers_agree_on_who_won(tmp_path: Path) -> None:
    """Two processes that race for the same manifests see the same winners, each whole."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("left", "right")
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    winners = []
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        output, _ = racer.communicate(timeout=60)
        winners.append(output.split())

    assert winners[0] == winners[1]
    assert len(winners[0]) == 100
    assert all(
        hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        for path in (tmp_path / "cas").rglob("*")
        if path.is_file()
    )


WRITER = """
import os, sys
from pathlib import Path
from infra.store import FolderStore, fingerprint

store = FolderStore(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    ref = store.put_bytes(os.urandom(200_000))
    store.record(fingerprint({"object": ref.sha256}), {"object": ref.model_dump()})
"""


@pytest.mark.parametrize("delay", [0.01, 0.1, 0.23])
def test_a_kill_leaves_only_whole_things(tmp_path: Path, delay: float) -> None:
    """After SIGKILL every object has its digest, and every manifest names an object there is."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        while not list(tmp_path.glob("manifests/*")):
            time.sleep(0.005)
        time.sleep(delay)
        writer.kill()

    store = FolderStore(tmp_path)
    manifests = [json.loads(path.read_bytes()) for path in tmp_path.glob("manifests/*")]
    assert manifests
    for manifest in manifests:
        store.open(ArtifactRef.model_validate(manifest["object"]))
    for path in tmp_path.glob("cas/sha256/*/*"):
        store.open(ArtifactRef(uri="", sha256=path.name))


def test_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    """A temporary file of yesterday goes with the next write; one of today may be in use."""
    store = FolderStore(tmp_path)
    store.put_bytes(b"anything")
    for name, age in (("old", 25 * 3600), ("new", 60)):
        (tmp_path / "tmp" / name).write_bytes(b"half")
        os.utime(tmp_path / "tmp" / name, (time.time() - age,) * 2)

    store.put_bytes(b"something else")

    assert [tmp_path / "tmp" / "new"] == list((tmp_path / "tmp").iterdir())


def test_a_corrupt_object_is_named(tmp_path: Path) -> None:
    """One flipped bit is found when the object is opened, with path, digest and remedy."""
    store = FolderStore(tmp_path)
    ref = store.put_bytes(b"weights")
    _corrupt(tmp_path / ref.uri)

    with pytest.raises(CorruptArtifactError, match=ref.sha256) as caught:
        store.open(ref)

    assert str(tmp_path / ref.uri) in str(caught.value)
    assert "again" in str(caught.value)


def test_storing_again_repairs_a_corrupt_object(tmp_path: Path) -> None:
    """The step that made an object heals it by running again."""
    store = FolderStore(tmp_path)
    ref = store.put_bytes(b"weights")
    _corrupt(tmp_path / ref.uri)

    store.put_bytes(b"weights")

    assert store.open(ref).read_bytes() == b"weights"


def test_a_missing_object_is_named(tmp_path: Path) -> None:
    """A reference into another store says which object is not here."""
    digest = hashlib.sha256(b"elsewhere").hexdigest()

    with pytest.raises(MissingArtifactError, match=digest):
        FolderStore(tmp_path).open(ArtifactRef(uri="cas", sha256=digest))


@pytest.mark.parametrize("data", [b"", b'{"half": ', b"[1]", b"\xff\xfe"])
def test_a_corrupt_manifest_is_named(tmp_path: Path, data: bytes) -> None:
    """A manifest that is no JSON object is never taken for "not run yet"."""
    path = tmp_path / "manifests" / f"{KEY}.json"
    path.parent.mkdir()
    path.write_bytes(data)

    with pytest.raises(CorruptArtifactError, match=KEY):
        FolderStore(tmp_path).find(KEY)


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "A" * 64, "a" * 63])
def test_only_fingerprints_name_manifests(tmp_path: Path, bad: str) -> None:
    """Anything but 64 hexadecimal digits is refused before it becomes a path."""
    with pytest.raises(StoreError, match="64 hexadecimal digits"):
        FolderStore(tmp_path).find(bad)


def test_a_number_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    """NaN equals nothing, so it can neither be found by nor written down."""
    with pytest.raises(StoreError, match="not finite"):
        FolderStore(tmp_path).record(KEY, {"loss": float("nan")})
    with pytest.raises(StoreError, match="not finite"):
        fingerprint({"lr": float("inf")})


def test_the_order_of_parts_does_not_matter() -> None:
    """A fingerprint is of what the parts are, not of how they were listed."""
    assert fingerprint({"a": 1, "b": [2, 3]}) == fingerprint({"b": [2, 3], "a": 1})
    assert fingerprint({"a": 1, "b": [2, 3]}) != fingerprint({"a": 1, "b": [3, 2]})


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """A root below a file is refused with the path and the remedy, for root as for anyone."""
    (tmp_path / "file").write_bytes(b"")
    store = FolderStore(tmp_path / "file" / "store")

    with pytest.raises(NotWritableError, match="Choose a folder"):
        store.put_bytes(b"weights")
    with pytest.raises(NotWritableError, match="Choose a folder"):
        store.record(KEY, {})


def test_a_source_that_is_not_there_says_so(tmp_path: Path) -> None:
    """Putting a file that does not exist names that file."""
    with pytest.raises(StorageError, match="nowhere"):
        FolderStore(tmp_path).put_file(tmp_path / "nowhere")


def test_a_full_disk_says_so_and_keeps_what_was_stored(tmp_path: Path) -> None:
    """Beyond the file-size limit nothing half-written stays, and earlier objects remain."""
    before = FolderStore(tmp_path).put_bytes(b"earlier")
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from infra.errors import DiskFullError; from infra.store import FolderStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: FolderStore(Path(sys.argv[1])).put_bytes(bytes(5000))\n"
        "except DiskFullError as error: print(error)\n"
    )

    limited = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True, text=True
    )

    assert "No room while writing" in limited.stdout
    assert [tmp_path / before.uri] == [path for path in tmp_path.rglob("*") if path.is_file()]


def _corrupt(path: Path) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(bytes(data))
