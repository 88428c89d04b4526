"""Samples are drawn into the store: the same files and spec give the same digest."""

from pathlib import Path

import pytest

from infra.calibration.sample import load
from infra.errors import TooFewSamplesError
from infra.store import FolderStore
from infra.store.audit import named_by
from tasks.calibrate import collect_samples
from tests.support.calibration import a_spec, write_conversations, write_documents
from tests.support.places import place_at
from tests.support.runs import World


def test_the_same_spec_gives_the_same_digest(world: World, tmp_path: Path) -> None:
    """Texts and pictures alike, drawn again into another store, from another place."""
    texts = a_spec(write_documents(tmp_path / "texts.jsonl", 30), nsamples=12, seqlen=32)
    rows = write_conversations(tmp_path / "rows", 12)
    pictures = a_spec(rows, kind="image_text", nsamples=12, seqlen=64)

    again = [
        collect_samples.fn(s, world.source, place_at(tmp_path / "store")) for s in (texts, pictures)
    ]

    assert [set_.ref for set_ in again] == [world.texts.ref, world.pictures.ref]
    assert [set_.report for set_ in again] == [world.texts.report, world.pictures.report]


def test_another_seed_gives_other_samples(world: World, tmp_path: Path) -> None:
    """The seed chooses the rows."""
    texts = a_spec(write_documents(tmp_path / "texts.jsonl", 30), nsamples=12, seqlen=32, seed=8)

    drawn = collect_samples.fn(texts, world.source, place_at(tmp_path / "store"))

    assert drawn.ref != world.texts.ref


def test_what_is_stored_is_what_was_drawn(world: World) -> None:
    """The reference leads to the samples, and tells of them what their own file tells."""
    stored = load(FolderStore(world.store).open(world.pictures.ref))

    assert len(stored.samples) == 12
    assert all(sample.pixel_values is not None for sample in stored.samples)
    assert stored.report.model_dump(mode="json") == world.pictures.report


def test_samples_are_on_record(world: World, tmp_path: Path) -> None:
    """Who cleans a store takes nothing that a manifest names; an object alone looks forgotten."""
    store = tmp_path / "store"
    texts = a_spec(write_documents(tmp_path / "texts.jsonl", 30), nsamples=12, seqlen=32)
    drawn = collect_samples.fn(texts, world.source, place_at(store))

    assert drawn.ref.sha256 in named_by(tuple(FolderStore(store).inventory().manifests()))


def test_too_few_samples_store_nothing(world: World, tmp_path: Path) -> None:
    """The error of the set comes through, and no half set lies in the store."""
    texts = a_spec(write_documents(tmp_path / "texts.jsonl", 3), nsamples=12, seqlen=32)

    with pytest.raises(TooFewSamplesError, match="gives 3 samples"):
        collect_samples.fn(texts, world.source, place_at(tmp_path / "store"))

    assert not (tmp_path / "store").exists()
