"""What the tests of the steps share: one small model, one set of texts, one set of pictures."""

import pytest

from infra.models.source import resolve
from tasks.calibrate import collect_samples
from tests.support.calibration import a_spec, write_conversations, write_documents
from tests.support.places import place_at
from tests.support.runs import BLOCKS, World
from tests.support.tiny import write_tiny_qwen2_vl


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a model of three blocks, and 12 samples of each kind."""
    root = tmp_path_factory.mktemp("world")
    source = resolve(str(write_tiny_qwen2_vl(root / "model", blocks=BLOCKS, hidden=128)))
    texts = a_spec(write_documents(root / "texts.jsonl", 30), nsamples=12, seqlen=32)
    rows = write_conversations(root / "rows", 12)
    pictures = a_spec(rows, kind="image_text", nsamples=12, seqlen=64)
    return World(
        source,
        root / "store",
        collect_samples.fn(texts, source, place_at(root / "store")),
        collect_samples.fn(pictures, source, place_at(root / "store")),
    )
