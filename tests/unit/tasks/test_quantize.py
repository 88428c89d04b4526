"""Blocks are quantized in order, known again by what decides their codes, and by nothing else."""

import logging
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from infra.models.source import resolve
from infra.store import FolderStore, open_store
from tasks.calibrate import collect_samples
from tasks.codes import read_codes, read_story
from tasks.engine import open_model
from tasks.progress import LOGGER_NAME
from tasks.quantize import Segment, open_segment, quantize_block
from tasks.specs import BlockRecord, ComputeSpec, QuantizationSpec
from tests.support.calibration import a_spec, write_documents
from tests.support.models import Watched, replaced, rewritten
from tests.support.places import place_at
from tests.support.runs import BLOCKS, LEARNED, NEAREST, World, digests, quantized


@pytest.fixture(scope="module")
def store(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store in which the default run is finished; read it, or copy it."""
    root = tmp_path_factory.mktemp("finished") / "store"
    quantized(world.plan(root))
    return root


def first_block(plan: Any) -> BlockRecord:
    """Quantize the first block of a plan, or find it."""
    return quantized(plan, until=plan.first_block + 1)[0]


def test_learning_beats_rounding_on_held_out_samples(world: World, store: Path) -> None:
    """Each block tells its held-out error before and after, when, and how long it took."""
    records = quantized(world.plan(store))

    assert [record.block for record in records] == list(range(BLOCKS))
    for record in records:
        assert record.loss_before is not None
        assert record.loss_after is not None
        assert record.loss_after < record.loss_before
        assert 1 <= record.chosen_iteration <= LEARNED.iters
        assert (record.fallback, record.reused) == (None, True)
        assert record.peak_bytes > 2**20


def test_codes_are_stored_with_their_story(world: World, store: Path) -> None:
    """A block's file holds all seven Linears and a training loss for each step."""
    record = quantized(world.plan(store))[1]
    path = FolderStore(store).open(record.ref)
    losses = read_story(path)["losses"]

    assert len(read_codes(path)) == 7
    assert len(losses["training"]) == LEARNED.iters
    assert losses["nearest"] == record.loss_before


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 43},
        {"iters": 5},
        {"bits": 8},
        {"group_size": 32},
        {"symmetric": False},
        {"batch_size": 3},
        {"lr": 0.5},
        {"holdout": 1},
    ],
    ids=str,
)
def test_what_decides_the_codes_is_in_the_fingerprint(
    world: World, store: Path, change: dict[str, Any]
) -> None:
    """A changed knob of the quantization is never answered with codes of another."""
    plan = world.plan(store, quantization=LEARNED.model_copy(update=change))

    assert not first_block(plan).reused


def test_other_samples_are_other_work(world: World, store: Path, tmp_path: Path) -> None:
    """Pictures instead of texts, or the same texts drawn with another seed, are learned anew."""
    texts = a_spec(write_documents(tmp_path / "t.jsonl", 30), nsamples=12, seqlen=32, seed=8)
    drawn = collect_samples.fn(texts, world.source, place_at(world.store))

    reused = [first_block(world.plan(store, set_)).reused for set_ in (world.pictures, drawn)]

    assert reused == [False, False]


def test_one_changed_byte_of_the_model_is_another_model(
    world: World, store: Path, tmp_path: Path
) -> None:
    """A tensor that no block reads counts too: what calibration saw may depend on it."""
    norm = "visual.blocks.0.norm1.bias"
    folder = rewritten(world.source.path, tmp_path / "m", weights=replaced(norm, lambda t: t + 1))

    assert not first_block(world.plan(store, source=resolve(str(folder)))).reused


def test_precision_is_in_the_fingerprint(world: World, store: Path) -> None:
    """What was learned in float32 is no answer to a run in bfloat16."""
    compute = ComputeSpec(device="cpu", dtype="bfloat16")

    assert not first_block(world.plan(store, compute=compute)).reused


def test_where_things_are_is_not_in_the_fingerprint(
    world: World, store: Path, tmp_path: Path
) -> None:
    """The same work is found again in a moved store, for a moved model, with other resources."""
    moved = Path(shutil.copytree(store, tmp_path / "moved-store"))
    model = Path(shutil.copytree(world.source.path, tmp_path / "moved-model"))
    changes = {
        "source": resolve(str(model)),
        "variant": "renamed",
        "compute": ComputeSpec(device="cpu", threads=1, activation_gib=0.001),
        "quantization": LEARNED.model_copy(update={"segments": 3}),
    }

    assert [record.reused for record in quantized(world.plan(moved, **changes))] == [True] * BLOCKS


def test_two_segments_run_on_their_own(world: World, store: Path, tmp_path: Path) -> None:
    """The second segment starts from the 16-bit chain, needs nothing of the first, and differs."""
    whole = quantized(world.plan(store))
    first = quantized(world.plan(store, end_block=2))
    second = quantized(world.plan(store, first_block=2))
    elsewhere = quantized(world.plan(tmp_path / "store", first_block=2))

    assert digests(first) == digests(whole[:2])
    assert digests(second) != digests(whole[2:])
    assert digests(second) == digests(elsewhere)
    assert not second[0].reused


def test_rounding_to_nearest_reads_only_the_linears(world: World, tmp_path: Path) -> None:
    """With iters 0 there are no samples and no activations: embeddings and norms stay unread."""
    plan = world.plan(tmp_path / "store", quantization=NEAREST)
    tensors = Watched(world.source.path)
    model = open_model(world.source.path, plan.compute, tensors)
    segment = Segment(plan, open_store(plan.place), model, tmp_path)

    records = [quantize_block.fn(segment, block) for block in range(BLOCKS)]

    assert sorted(tensors.read) == sorted(n for b in range(BLOCKS) for n in model.family.linears(b))
    assert {(r.loss_before, r.loss_after, r.chosen_iteration) for r in records} == {(None, None, 0)}


def test_a_block_of_zeros_is_quantized_without_noise(world: World, tmp_path: Path) -> None:
    """A pruned block has no error at all; its endless signal-to-noise ratio stops nobody."""

    def pruned(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        block = "model.layers.0."
        return {n: t * 0 if n.startswith(block) else t for n, t in weights.items()}

    source = resolve(str(rewritten(world.source.path, tmp_path / "m", weights=pruned)))

    record = first_block(world.plan(tmp_path / "store", source=source))

    assert (record.loss_before, record.loss_after, record.sqnr_db) == (0.0, 0.0, None)
    assert record.fallback is not None


def test_progress_is_told_step_by_step(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each step of each block emits one event, with a loss, through logging alone."""
    with caplog.at_level(logging.INFO, logger=LOGGER_NAME):
        quantized(world.plan(tmp_path / "store", variant="llava"), until=2)

    events = [record.__dict__["event"] for record in caplog.records if record.name == LOGGER_NAME]
    assert [event[:5] for event in events] == [
        ("llava", block, BLOCKS, step, LEARNED.iters)
        for block in range(2)
        for step in range(1, LEARNED.iters + 1)
    ]
    assert all(math.isfinite(event.loss) for event in events)


def test_blocks_come_in_order(world: World, store: Path) -> None:
    """A block out of turn is refused: its chains would stand somewhere else."""
    with open_segment(world.plan(store)) as segment:
        with pytest.raises(ValueError, match="turn of block 0"):
            quantize_block.fn(segment, 1)
        quantize_block.fn(segment, 0)
        with pytest.raises(ValueError, match="turn of block 1"):
            quantize_block.fn(segment, 0)


def test_a_run_of_all_widths_is_distinct(world: World, tmp_path: Path) -> None:
    """2, 3, 4 and 8 bits leave fewer and fewer errors: the grid is the one that was asked for."""
    losses = []
    for bits in (2, 3, 4, 8):
        asked = QuantizationSpec(bits=bits, iters=1, batch_size=2, group_size=32)
        losses.append(first_block(world.plan(tmp_path / "store", quantization=asked)).loss_before)

    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 4
