"""`roundhouse store check | gc`: whether a store is sound, and what it keeps for nobody."""

import os
import time
from pathlib import Path

import pytest

from flows.cli.exits import Exit
from flows.cli.storing import Asked, check, clean, place_of
from flows.errors import RecipeError
from infra.errors import StoreError
from infra.store import FolderStore, fingerprint, open_store
from tests.support.bucket import keys_of_anyone, running_bucket
from tests.support.places import place_at

NOTHING = Asked(None, None, None, None, "when_supported")
KEY = fingerprint({"step": "test"})


@pytest.fixture
def filled(tmp_path: Path) -> FolderStore:
    """Return a store with an object that a manifest names, and an old one that none does."""
    store = FolderStore(tmp_path)
    store.record(KEY, {"codes": store.put_bytes(b"named").model_dump()})
    orphan = tmp_path / store.put_bytes(b"orphan").uri
    then = time.time() - 5 * 24 * 3600
    os.utime(orphan, (then, then))
    return store


def test_a_sound_store_is_told(filled: FolderStore, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything was read; what is on no record is told, too."""
    assert check(place_at(filled.root)) is Exit.OK

    told = capsys.readouterr().out
    assert "2 objects of 11 bytes and 1 manifests read; 0 corrupt, 0 missing." in told
    assert "1 objects are on no record" in told


def test_a_damaged_store_is_told(filled: FolderStore, capsys: pytest.CaptureFixture[str]) -> None:
    """By exit code, with the object's place and the remedy."""
    path = filled.open(filled.put_bytes(b"named"))
    path.chmod(0o644)
    path.write_bytes(b"nAmed")

    assert check(place_at(filled.root)) is Exit.VERIFICATION

    told = capsys.readouterr().out
    assert f"{path} is corrupt" in told
    assert "makes it again" in told


@pytest.mark.parametrize("dry_run", [True, False])
def test_garbage_is_told_and_removed(
    filled: FolderStore, capsys: pytest.CaptureFixture[str], *, dry_run: bool
) -> None:
    """With --dry-run it is told alone."""
    assert clean(place_at(filled.root), 3, dry_run=dry_run) is Exit.OK

    told = capsys.readouterr().out
    assert f"{'To remove' if dry_run else 'Removed'}: 1 objects" in told
    assert len(list(filled.inventory().objects())) == (2 if dry_run else 1)


def test_a_store_that_is_not_there_is_not_called_sound(tmp_path: Path) -> None:
    """A wrong path is a mistake."""
    with pytest.raises(StoreError, match=r"There is no store in .*nowhere\. Name"):
        check(place_at(tmp_path / "nowhere"))


def test_a_bucket_is_checked_by_its_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the command line names it."""
    with keys_of_anyone(), running_bucket() as bucket:
        asked = NOTHING._replace(uri=f"s3://{bucket.name}/storing", endpoint=bucket.endpoint)
        place = place_of(asked, tmp_path)
        open_store(place).put_bytes(b"orphan")

        assert check(place) is Exit.OK
        assert clean(place, 1, dry_run=False) is Exit.OK

    assert "s3://tables/storing: 1 objects of 6 bytes" in capsys.readouterr().out


def test_the_store_is_the_one_that_is_meant(tmp_path: Path) -> None:
    """The workspace's own, a recipe's, or the one that is named; never two."""
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "name: mine\nmodel: {source: 'packaged:demo'}\nquantization: {iters: 0}\n"
        "export: {output_dir: out}\nstore: {uri: 's3://bucket/x'}\n"
    )

    assert place_of(NOTHING, tmp_path).store.uri == str(tmp_path / "store")
    assert place_of(NOTHING._replace(uri="s3://b/p"), tmp_path).store.uri == "s3://b/p"
    assert place_of(NOTHING._replace(recipe=str(recipe)), tmp_path).store.uri == "s3://bucket/x"
    with pytest.raises(RecipeError, match="give one of them"):
        place_of(NOTHING._replace(uri="s3://b/p", recipe=str(recipe)), tmp_path)
