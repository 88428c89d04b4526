"""A run whose model is in a bucket gives what a run from a folder gives, and copies no weights."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from infra.errors import MissingEngineError
from infra.models.finding import find
from infra.models.source import ModelSource
from infra.store import Place, StoreAddress
from tasks.preflight import look_before
from tasks.resolve import resolve_model
from tasks.specs import ComputeSpec
from tasks.subjects import open_subject
from tests.support.bucket import Bucket, keys_of_anyone, running_bucket
from tests.support.examining import asking
from tests.support.runs import BLOCKS, NEAREST, World, digests, exported, files_of, quantized

ON_CPU = ComputeSpec(device="cpu")


@pytest.fixture(scope="module")
def bucket(world: World) -> Iterator[Bucket]:
    """Run an S3 server that holds the shared model."""
    with keys_of_anyone(), running_bucket() as bucket:
        for path in world.source.path.iterdir():
            bucket.put(f"model/{path.name}", path.read_bytes())
        yield bucket


@pytest.fixture
def place(tmp_path: Path, bucket: Bucket) -> Place:
    """Return a place whose store is a folder, and that knows the server."""
    store = StoreAddress(uri=str(tmp_path / "store"), endpoint=bucket.endpoint)
    return Place(workspace=tmp_path / "workspace", store=store)


@pytest.fixture
def source(place: Place) -> ModelSource:
    """Return the model as it is found in the bucket."""
    return find("s3://tables/model", None, place)


def test_it_is_found_by_the_first_step(place: Place, source: ModelSource) -> None:
    """Under the address that a recipe names, and headers suffice to look before the work."""
    assert resolve_model.fn("s3://tables/model", None, place) == source
    assert look_before.fn(source, NEAREST, ()) == BLOCKS


def test_codes_are_those_of_the_folder(
    world: World, source: ModelSource, place: Place, tmp_path: Path
) -> None:
    """Bit for bit, so both share one fingerprint; and no weight is ever a file of this machine."""
    local = quantized(world.plan(tmp_path / "elsewhere"), until=1)

    streamed = quantized(world.plan(tmp_path / "store", source=source, place=place), until=1)
    again = quantized(world.plan(tmp_path / "elsewhere", source=source), until=1)

    assert digests(streamed) == digests(local)
    assert (streamed[0].reused, again[0].reused) == (False, True)
    assert list((tmp_path / "workspace").rglob("*.safetensors")) == []


def test_exports_are_those_of_the_folder(
    world: World, source: ModelSource, place: Place, tmp_path: Path
) -> None:
    """Byte for byte: weights, papers and sums."""
    plan = world.plan(tmp_path / "elsewhere", quantization=NEAREST)
    records = quantized(plan)
    there = world.plan(tmp_path / "store", quantization=NEAREST, source=source, place=place)

    exported(plan, records, tmp_path / "local")
    exported(there, quantized(there), tmp_path / "streamed")

    assert files_of(tmp_path / "local") == files_of(tmp_path / "streamed")


def test_it_answers_from_memory(world: World, source: ModelSource) -> None:
    """The 16-bit model is read into it, as it would be from a folder."""
    asked = asking(Path("tables"))

    streamed = open_subject(source, asked, ON_CPU).model.state_dict()
    local = open_subject(world.source, asked, ON_CPU).model.state_dict()

    assert streamed.keys() == local.keys()
    assert all(torch.equal(streamed[name], local[name]) for name in local)


@pytest.mark.parametrize("how", [{"engine": "vllm"}, {"loader": "client"}])
def test_clients_that_read_files_are_not_given_a_bucket(
    how: dict[str, str], source: ModelSource
) -> None:
    """They would take it for the name of a repository."""
    with pytest.raises(MissingEngineError, match="s3://tables/model can only be streamed"):
        open_subject(source, asking(Path("tables"), **how), ON_CPU)
