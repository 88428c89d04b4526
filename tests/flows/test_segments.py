"""Segments of a variant as flow runs: captured states, then blocks, each with its outcome."""

from pathlib import Path

import pytest

from flows.capture import capture_job, capture_starts
from flows.segment import quantize_segment, segment_job
from infra.models.source import resolve
from infra.store import FolderStore
from tasks.calibrate import collect_samples
from tests.support.calibration import a_spec, write_documents
from tests.support.places import place_at
from tests.support.runs import BLOCKS, World, digests, quantized
from tests.support.tiny import write_tiny_qwen2_vl
from tests.unit.tasks.test_capture import a_plan


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a model of three blocks, and 12 texts."""
    root = tmp_path_factory.mktemp("world")
    source = resolve(str(write_tiny_qwen2_vl(root / "model", blocks=BLOCKS, hidden=128)))
    spec = a_spec(write_documents(root / "texts.jsonl", 30), nsamples=12, seqlen=32)
    texts = collect_samples.fn(spec, source, place_at(root / "store"))
    return World(source, root / "store", texts, texts)


def test_a_segment_begins_where_the_capture_ended(world: World, tmp_path: Path) -> None:
    """Both leave their outcome in the store, and the codes are those of a run without a capture."""
    store = FolderStore(tmp_path)
    capture = a_plan(world, tmp_path)

    starts = capture_starts(capture)
    plan = world.plan(tmp_path, first_block=1, start=starts[0].ref)
    records = quantize_segment(plan)

    assert capture_job(capture).outcome(store) == starts
    assert segment_job(plan).outcome(store) == records
    assert digests(quantized(world.plan(tmp_path / "alone", first_block=1))) == digests(records)
