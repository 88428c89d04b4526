"""A model in a bucket is the model of its files, read by ranges and never as a copy."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from infra.errors import (
    ChangedWeightsError,
    CorruptShardError,
    FolderRevisionError,
    MissingBucketError,
    ModelConfigError,
    ModelNotFoundError,
    TruncatedShardError,
)
from infra.models.bucket import BucketReader
from infra.models.finding import find, open_tensors, present, weight_bytes
from infra.models.source import ModelSource, digest_of
from infra.models.streamed import record_of
from infra.models.streamedfiles import hash_parts, read_record, write_record
from infra.models.tensors import SINGLE_FILE, TensorIndex
from infra.s3.address import Object, Service, split
from infra.s3.client import S3
from infra.store import Place, StoreAddress
from tests.support.bucket import Bucket, keys_of_anyone, running_bucket
from tests.support.cutting import between

LAYER = "model.layers.0.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def bucket(tiny_model: Path, tiny_sharded_model: Path) -> Iterator[Bucket]:
    """Run an S3 server that holds both tiny models."""
    with keys_of_anyone(), running_bucket() as bucket:
        upload(bucket, tiny_model, "tiny")
        upload(bucket, tiny_sharded_model, "sharded")
        yield bucket


def upload(bucket: Bucket, folder: Path, prefix: str) -> str:
    """Put a model's files below a prefix, and return its address."""
    for path in folder.iterdir():
        bucket.put(f"{prefix}/{path.name}", path.read_bytes())
    return f"s3://{bucket.name}/{prefix}"


def place_in(folder: Path, endpoint: str) -> Place:
    """Return a place that knows a service, with its store in a folder."""
    store = StoreAddress(uri=str(folder / "shared"), endpoint=endpoint)
    return Place(workspace=folder / "workspace", store=store)


@pytest.fixture
def place(tmp_path: Path, bucket: Bucket) -> Place:
    """Return a place that knows the server."""
    return place_in(tmp_path, bucket.endpoint)


@pytest.mark.parametrize("kind", ["tiny", "sharded"])
def test_it_is_the_same_model_as_in_a_folder(
    kind: str, place: Place, tiny_model: Path, tiny_sharded_model: Path
) -> None:
    """Digest and tensors are equal, so work is found again whichever way the model was named."""
    folder = tiny_model if kind == "tiny" else tiny_sharded_model

    source = find(f"s3://tables/{kind}/", None, place)
    streamed, local = open_tensors(source), TensorIndex.open(folder)

    assert source.digest == digest_of(folder)
    assert streamed.names == local.names
    assert all(torch.equal(streamed.load(name), local.load(name)) for name in local.names)
    assert weight_bytes(source) == weight_bytes(ModelSource(path=folder, digest=source.digest))


def test_what_is_read_beside_the_weights_is_brought_here(
    place: Place, tiny_model: Path, tmp_path: Path
) -> None:
    """Byte for byte, below the workspace; and no weight file is anywhere."""
    source = find("s3://tables/tiny", None, place)

    names = sorted(path.name for path in source.path.iterdir())
    assert names == sorted(path.name for path in tiny_model.iterdir() if path.name != SINGLE_FILE)
    assert all((source.path / n).read_bytes() == (tiny_model / n).read_bytes() for n in names)
    assert source.path.is_relative_to(place.workspace)
    assert list(tmp_path.rglob("*.safetensors")) == []
    assert ModelSource.model_validate_json(source.model_dump_json()) == source


def test_the_digest_is_taken_once(tmp_path: Path, bucket: Bucket, tiny_model: Path) -> None:
    """A second look asks for the list and the headers of nothing: the store knows the rest."""
    weights = (tiny_model / SINGLE_FILE).stat().st_size
    with between(bucket.endpoint) as middle:
        first = find("s3://tables/tiny", None, place_in(tmp_path, middle.address))
        once = middle.passed
        second = find("s3://tables/tiny", None, place_in(tmp_path, middle.address))

        assert first == second
        assert once > weights
        assert middle.passed - once < weights / 10


def test_a_damaged_record_is_made_anew(place: Place, tmp_path: Path) -> None:
    """It is found by its digest, and never used."""
    first = find("s3://tables/tiny", None, place)
    for path in (tmp_path / "shared" / "cas").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"{}")

    assert find("s3://tables/tiny", None, place) == first


def test_reads_survive_a_connection_that_is_cut(tmp_path: Path, bucket: Bucket) -> None:
    """The piece is asked for again."""
    with between(bucket.endpoint) as middle:
        source = find("s3://tables/tiny", None, place_in(tmp_path, middle.address))
        whole = open_tensors(source).load("model.embed_tokens.weight")
        index = open_tensors(source)
        middle.cut(2, after=8192)

        assert torch.equal(index.load("model.embed_tokens.weight"), whole)
        assert middle.cuts == 0


@pytest.mark.parametrize("what", ["replaced", "gone"])
def test_a_model_that_changes_under_a_run_is_refused(
    what: str, place: Place, bucket: Bucket, tiny_model: Path
) -> None:
    """Two states of a model are never mixed: not in one process, nor by a worker that comes later.

    A new run takes what is there now.
    """
    uri = upload(bucket, tiny_model, what)
    source = find(uri, None, place)
    index = open_tensors(source)
    data = (tiny_model / SINGLE_FILE).read_bytes()
    if what == "replaced":
        bucket.put(f"{what}/{SINGLE_FILE}", data[:-1] + bytes([data[-1] ^ 1]))
    else:
        bucket.remove(f"{what}/{SINGLE_FILE}")

    message = r"model\.safetensors is (another version|gone) since the model was found"
    with pytest.raises(ChangedWeightsError, match=message):
        index.load(LAYER)
    with pytest.raises(ChangedWeightsError):
        open_tensors(source)
    if what == "replaced":
        assert find(uri, None, place).digest != source.digest


def test_bytes_that_are_not_the_tensor_are_refused(place: Place) -> None:
    """Should a service give other bytes under the same ETag."""
    source = find("s3://tables/tiny", None, place)
    files = read_record(record_of(source.path))
    weights = files.files[SINGLE_FILE]
    other = weights.model_copy(update={"tensors": weights.tensors | {LAYER: "0" * 64}})
    write_record(record_of(source.path), files._replace(files={**files.files, SINGLE_FILE: other}))

    index = open_tensors(source)

    index.load("model.norm.weight")
    with pytest.raises(CorruptShardError, match=rf"{LAYER} in .*s3://tables/tiny was read with"):
        index.load(LAYER)


def test_a_weight_file_that_is_cut_short_is_refused(
    place: Place, bucket: Bucket, tiny_model: Path
) -> None:
    """By its header, before a byte of weights is read."""
    uri = upload(bucket, tiny_model, "short")
    bucket.put(f"short/{SINGLE_FILE}", (tiny_model / SINGLE_FILE).read_bytes()[:-1])

    with pytest.raises(TruncatedShardError, match=r"in s3://tables/short is cut short: .* 1 more"):
        find(uri, None, place)


@pytest.mark.parametrize(
    ("uri", "error", "words"),
    [
        ("s3://nobodys/model", MissingBucketError, "has no bucket 'nobodys'"),
        ("s3://tables/nothing", ModelNotFoundError, "There is no model at s3://tables/nothing"),
        ("s3://tables/bare", ModelConfigError, r"s3://tables/bare holds no config\.json"),
        ("s3://tables/broken", ModelConfigError, "is no JSON"),
    ],
)
def test_what_is_no_model_is_named(
    uri: str, error: type[Exception], words: str, place: Place, bucket: Bucket, tiny_model: Path
) -> None:
    """Bucket, prefix or file."""
    weights = (tiny_model / SINGLE_FILE).read_bytes()
    bucket.put(f"bare/{SINGLE_FILE}", weights)
    bucket.put(f"broken/{SINGLE_FILE}", weights)
    bucket.put("broken/config.json", b"{")

    with pytest.raises(error, match=words):
        find(uri, None, place)


def test_a_bucket_has_no_revisions(place: Place) -> None:
    """As a folder has none."""
    with pytest.raises(FolderRevisionError, match="revision='main' was asked of s3://tables/tiny"):
        find("s3://tables/tiny", "main", place)


def test_another_machine_finds_it_in_its_own_workspace(
    tmp_path: Path, place: Place, bucket: Bucket
) -> None:
    """A worker brings the small files itself, and streams the rest."""
    source = find("s3://tables/tiny", None, place)
    elsewhere = place_in(tmp_path / "worker", bucket.endpoint)

    here = present(source, elsewhere)
    again = present(source, elsewhere)

    assert here == again == source.model_copy(update={"path": here.path})
    assert here.path.is_relative_to(elsewhere.workspace)
    assert open_tensors(here).names == open_tensors(source).names


def test_large_reads_are_cut_into_pieces(bucket: Bucket) -> None:
    """And put together in their order, whatever order they arrive in."""
    data = bytes(range(256)) * 100
    bucket.put("pieces/x", data)
    seen = S3(Service(bucket.endpoint)).look(Object("tables", "pieces/x"))
    assert seen is not None
    reader = BucketReader(
        S3(Service(bucket.endpoint)), split("s3://tables/pieces"), {"x": seen}, piece_bytes=1000
    )
    target = bytearray(20_000)

    assert reader.read_into("x", 5_000, memoryview(target)) == 20_000
    assert bytes(target) == data[5_000:25_000]
    assert reader.read_into("x", 25_000, memoryview(target)) == 600, "the file ends there"
    assert reader.size("y") is None


def test_parts_are_hashed_wherever_pieces_end() -> None:
    """Empty parts and what follows the last one, too."""
    data = bytes(range(200))
    ends = [10, 10, 57, 150, 150]
    expected = [
        hashlib.sha256(data[start:end]).hexdigest()
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]

    for size in (1, 7, 64, 200):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert hash_parts(pieces, ends) == (hashlib.sha256(data).hexdigest(), expected)
