"""The same segment on a folder and in a bucket, wanted by one or by several at once."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.s3.address import split
from infra.store import FolderStore, Place, StoreAddress, open_store
from tasks.specs import BlockRecord, SegmentPlan
from tests.support.bucket import Bucket, keys_of_anyone, running_bucket
from tests.support.runs import BLOCKS, World, digests, quantized

Records = tuple[BlockRecord, ...]


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    """Run an S3 server for all tests of this file."""
    with keys_of_anyone(), running_bucket() as bucket:
        yield bucket


@pytest.fixture(scope="module")
def undisturbed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Records:
    """Return the records of a run on a folder that nothing disturbed."""
    return quantized(world.plan(tmp_path_factory.mktemp("undisturbed")))


def on_s3(world: World, server: Bucket, prefix: str, workspace: Path) -> SegmentPlan:
    """Return the plan of a whole model whose store is in a bucket."""
    address = StoreAddress(uri=f"s3://{server.name}/{prefix}", endpoint=server.endpoint)
    place = Place(workspace=workspace, store=address)
    open_store(place).put_file(FolderStore(world.store).open(world.texts.ref))
    return world.plan(workspace / "unused", place=place)


def test_a_bucket_gives_the_same_codes_as_a_folder(
    world: World, server: Bucket, tmp_path: Path, undisturbed: Records
) -> None:
    """References, too: what was recorded in the one may be moved to the other."""
    made = quantized(on_s3(world, server, "same", tmp_path / "one"))
    found = quantized(on_s3(world, server, "same", tmp_path / "two"))

    assert [record.ref for record in made] == [record.ref for record in undisturbed]
    assert digests(found) == digests(undisturbed)
    assert [record.reused for record in found] == [True] * BLOCKS


@pytest.mark.parametrize("damage", ["flip", "delete"])
def test_a_damaged_block_in_a_bucket_is_mended(
    world: World, server: Bucket, tmp_path: Path, undisturbed: Records, damage: str
) -> None:
    """It is found by its digest on a machine that has no copy, computed again, and sound then."""
    plan = on_s3(world, server, damage, tmp_path / "one")
    ref = quantized(plan)[1].ref
    key = f"{split(str(plan.place.store.uri)).key}/{ref.uri}"
    content = bytearray(server.get(key))
    content[len(content) // 2] ^= 1
    if damage == "flip":
        server.put(key, bytes(content))
    else:
        open_store(plan.place).inventory().remove(ref.sha256)

    mended = quantized(on_s3(world, server, damage, tmp_path / "two"))

    assert digests(mended) == digests(undisturbed)
    assert [record.reused for record in mended] == [True, False, True]
    elsewhere = on_s3(world, server, damage, tmp_path / "three").place
    assert open_store(elsewhere).open(ref).is_file()


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_two_at_once_make_every_block_once(
    world: World, server: Bucket, tmp_path: Path, undisturbed: Records, kind: str
) -> None:
    """Whoever comes second to a block waits for it and finds it."""
    plan = (
        world.plan(tmp_path / "folder")
        if kind == "folder"
        else on_s3(world, server, "twice", tmp_path / "workspace")
    )
    made: list[Records] = []
    threads = [threading.Thread(target=lambda: made.append(quantized(plan))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [digests(records) for records in made] == [digests(undisturbed)] * 2
    assert sum(not record.reused for records in made for record in records) == BLOCKS
