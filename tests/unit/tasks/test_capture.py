"""The states in front of segments are captured once, and a segment that starts there is the same.

A run without captured states computes them itself; not one code may tell which of both it was.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from infra.errors import DiskFullError
from infra.store import FolderStore
from quantcore.activations import Budget
from quantcore.errors import ScratchSpaceError
from tasks.capture import Capture, CapturedStart, CapturePlan, capture_start, open_capture
from tasks.chains import front_chain, read_states, run_to, write_states
from tasks.engine import open_model
from tasks.quantize import Segment, quantize_block
from tasks.specs import CalibrationRef, ComputeSpec
from tests.support.disk import no_file_above
from tests.support.models import Watched
from tests.support.places import place_at
from tests.support.runs import LEARNED, World, digests, quantized
from tests.unit.tasks.test_quantize_faults import TINY_BUDGET, leftovers

ON_CPU = ComputeSpec(device="cpu")
IN_MEMORY = Budget(bytes=1 << 30, scratch=Path("never-used"))


def a_plan(
    world: World, store: Path, calibration: CalibrationRef | None = None, **changes: Any
) -> CapturePlan:
    """Return the capture of both places behind the first block, with its samples in ``store``."""
    samples = calibration or world.texts
    FolderStore(store).put_file(FolderStore(world.store).open(samples.ref))
    asked: dict[str, Any] = {
        "variant": "test",
        "source": world.source,
        "calibration": samples,
        "batch_size": LEARNED.batch_size,
        "compute": ON_CPU,
        "starts": (1, 2),
        "place": place_at(store),
    }
    return CapturePlan(**asked | changes)


def captured(plan: CapturePlan) -> list[CapturedStart]:
    """Capture all states of a plan."""
    with open_capture(plan) as capture:
        return [capture_start.fn(capture, block) for block in plan.starts]


@pytest.mark.parametrize("compute", [ON_CPU, TINY_BUDGET], ids=["ram", "file"])
@pytest.mark.parametrize("kind", ["texts", "pictures"])
def test_a_segment_from_captured_states_gives_the_same_codes(
    world: World, tmp_path: Path, kind: str, compute: ComputeSpec
) -> None:
    """Texts or pictures, in memory or in a mapped file: every bit of every code."""
    samples = {"texts": world.texts, "pictures": world.pictures}[kind]
    (start,) = captured(a_plan(world, tmp_path / "a", samples, starts=(1,), compute=compute))
    behind: dict[str, Any] = {"first_block": 1, "compute": compute}

    begun = quantized(world.plan(tmp_path / "a", samples, start=start.ref, **behind))
    computed = quantized(world.plan(tmp_path / "b", samples, **behind))

    assert digests(computed) == digests(begun)
    assert leftovers(tmp_path / "a") == []


def test_a_segment_from_captured_states_reads_nothing_in_front(
    world: World, tmp_path: Path
) -> None:
    """Neither embeddings nor the blocks of the segments before: that is what a capture is for."""
    start = captured(a_plan(world, tmp_path, starts=(1,)))[0].ref
    plan = world.plan(tmp_path, first_block=1, start=start)
    tensors = Watched(world.source.path)
    model = open_model(world.source.path, plan.compute, tensors)
    scratch = tmp_path / "work"
    scratch.mkdir()

    quantize_block.fn(Segment(plan, FolderStore(tmp_path), model, scratch), 1)

    assert tensors.read
    assert all(name.startswith("model.layers.1.") for name in tensors.read)


def test_a_capture_reads_nothing_behind_its_last_place(world: World, tmp_path: Path) -> None:
    """In front of block 1 that is the embeddings and block 0; on from there it is block 1 alone."""
    plan = a_plan(world, tmp_path)
    scratch = tmp_path / "work"
    scratch.mkdir()
    read = []
    for starts in ((1,), (1, 2)):
        tensors = Watched(world.source.path)
        model = open_model(world.source.path, plan.compute, tensors)
        capture = Capture(plan, FolderStore(tmp_path), model, scratch)
        for block in starts:
            capture_start.fn(capture, block)
        read.append(set(tensors.read))

    assert "model.embed_tokens.weight" in read[0]
    assert not [name for name in read[0] if "layers.1." in name or "layers.2." in name]
    assert read[1]
    assert all(name.startswith("model.layers.1.") for name in read[1])


def test_what_a_segment_starts_from_is_not_in_its_fingerprint(world: World, tmp_path: Path) -> None:
    """A block that was learned without captured states is found again by a run that has them."""
    first = quantized(world.plan(tmp_path, first_block=2))
    start = captured(a_plan(world, tmp_path))[1]

    again = quantized(world.plan(tmp_path, first_block=2, start=start.ref))

    assert [record.reused for record in (*first, *again)] == [False, True]


def test_states_are_captured_once(world: World, tmp_path: Path) -> None:
    """A second capture finds both; one that is asked for more computes only what is missing."""
    first = captured(a_plan(world, tmp_path, starts=(1,)))
    both = captured(a_plan(world, tmp_path))
    again = captured(a_plan(world, tmp_path))

    assert [start.reused for start in (*first, *both, *again)] == [False, True, False, True, True]
    assert both[0].ref == first[0].ref
    assert [start.ref for start in again] == [start.ref for start in both]


def test_going_on_from_captured_states_changes_no_bit(world: World, tmp_path: Path) -> None:
    """States behind captured ones are those of a pass that began at the first token."""
    alone = captured(a_plan(world, tmp_path / "one", starts=(2,)))[0]
    captured(a_plan(world, tmp_path / "two", starts=(1,)))

    resumed = captured(a_plan(world, tmp_path / "two"))[1]

    assert resumed.ref.sha256 == alone.ref.sha256


@pytest.mark.parametrize(
    "change",
    [{"batch_size": 3}, {"compute": ComputeSpec(device="cpu", dtype="bfloat16")}],
    ids=["batch", "precision"],
)
def test_what_decides_states_is_in_their_fingerprint(
    world: World, tmp_path: Path, change: dict[str, Any]
) -> None:
    """Other batches or another precision give other bits, so these states are others."""
    captured(a_plan(world, tmp_path, starts=(1,)))

    assert not captured(a_plan(world, tmp_path, starts=(1,), **change))[0].reused


def test_damaged_states_are_captured_again(world: World, tmp_path: Path) -> None:
    """A flipped bit is found by the digest, and the right states take its place."""
    plan = a_plan(world, tmp_path, starts=(1,))
    ref = captured(plan)[0].ref
    path = FolderStore(tmp_path).open(ref)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)

    mended = captured(plan)[0]

    assert (mended.ref, mended.reused) == (ref, False)
    FolderStore(tmp_path).open(ref)


def test_a_start_that_failed_can_be_tried_again(world: World, tmp_path: Path) -> None:
    """After a full disk the same capture goes on, and what comes of it is the same."""
    whole = captured(a_plan(world, tmp_path / "one"))
    plan = a_plan(world, tmp_path / "two")

    with open_capture(plan) as capture:
        with no_file_above(1000), pytest.raises(DiskFullError):
            capture_start.fn(capture, 1)
        again = [capture_start.fn(capture, block) for block in plan.starts]

    assert [start.ref for start in again] == [start.ref for start in whole]


@pytest.mark.parametrize("compute", [ON_CPU, TINY_BUDGET], ids=["ram", "file"])
def test_a_full_disk_is_said_and_leaves_nothing(
    world: World, tmp_path: Path, compute: ComputeSpec
) -> None:
    """The file or the folder is named with its remedy; no half object, no scratch file."""
    plan = a_plan(world, tmp_path, compute=compute)

    with (
        no_file_above(1000),
        pytest.raises((DiskFullError, ScratchSpaceError), match=r"(?i)free .*space"),
    ):
        captured(plan)

    assert leftovers(tmp_path) == []
    assert not (tmp_path / "manifests").exists()


def test_a_full_disk_on_a_segment_leaves_what_was_finished(world: World, tmp_path: Path) -> None:
    """Activations that find no room end the segment; its finished block stays, and only that."""
    plan = world.plan(tmp_path, compute=TINY_BUDGET)
    quantized(plan, until=1)

    with no_file_above(1000), pytest.raises(ScratchSpaceError, match="Free that much"):
        quantized(plan)

    assert leftovers(tmp_path) == []
    assert [record.reused for record in quantized(plan)] == [True, False, False]


@pytest.mark.parametrize("starts", [(0,), (2, 1), (1, 1)], ids=str)
def test_starts_are_blocks_in_order(world: World, tmp_path: Path, starts: tuple[int, ...]) -> None:
    """In front of block 0 there is nothing to capture, and a pass goes one way only."""
    with pytest.raises(ValueError, match="each once, ascending"):
        a_plan(world, tmp_path, starts=starts)


def test_a_file_of_states_is_the_chain(world: World, tmp_path: Path) -> None:
    """States, lengths and rotary embeddings come back bit for bit, and shared ones shared."""
    model = open_model(world.source.path, ComputeSpec(device="cpu", dtype="bfloat16"))
    chain = front_chain(
        FolderStore(world.store), model, world.pictures, name="chain", budget=IN_MEMORY
    )
    run_to(model, chain, range(1), 4)

    write_states(tmp_path / "states", chain)
    back = read_states(tmp_path / "states", name="back", budget=IN_MEMORY)

    assert back.lengths == chain.lengths
    assert torch.equal(back.states, chain.states)
    assert len({id(side) for side in back.sides}) == len({id(side) for side in chain.sides})
    for side, other in zip(chain.sides, back.sides, strict=True):
        assert side.keys() == other.keys()
        assert all(torch.equal(side[name], other[name]) for name in side)
