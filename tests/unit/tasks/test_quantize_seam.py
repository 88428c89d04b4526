"""A seam tunes what segments have found once more, on what the blocks before really give."""

from pathlib import Path
from typing import Any

import pytest

from infra.store import ArtifactRef, FolderStore
from tasks.capture import capture_start, open_capture
from tasks.codes import read_codes, read_story
from tasks.specs import BlockRecord, ComputeSpec, SegmentPlan
from tests.support.blocks import digest
from tests.support.runs import BLOCKS, LEARNED, World, digests, quantized
from tests.unit.tasks.test_capture import a_plan
from tests.unit.tasks.test_quantize_faults import (
    TINY_BUDGET,
    StoppedError,
    leftovers,
    stopping_at,
)

SEAM = LEARNED.model_copy(update={"segments": 2, "seam": 8})
Records = tuple[BlockRecord, ...]


def segments(world: World, store: Path) -> Records:
    """Quantize the model as two segments: block 0, and the others."""
    return (
        *quantized(world.plan(store, quantization=SEAM, end_block=1)),
        *quantized(world.plan(store, quantization=SEAM, first_block=1)),
    )


def seam(world: World, store: Path, found: Records, **changes: Any) -> SegmentPlan:
    """Return the seam of both segments."""
    asked: dict[str, Any] = {
        "quantization": SEAM,
        "first_block": 1,
        "found": tuple(record.ref for record in found),
    }
    return world.plan(store, **asked | changes)


def codes(store: Path, ref: ArtifactRef) -> str:
    """Return what tells codes from others, whatever their story."""
    return digest(read_codes(FolderStore(store).open(ref)))


@pytest.fixture(scope="module")
def finished(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Records, Records]:
    """Return a store with the records of two segments, and of their seam."""
    root = tmp_path_factory.mktemp("seam") / "store"
    found = segments(world, root)
    return root, found, quantized(seam(world, root, found))


def test_a_seam_never_ends_worse_than_it_began(
    finished: tuple[Path, Records, Records],
) -> None:
    """Each block tells its error when rounded to nearest, as found, and as kept."""
    store, found, tuned = finished

    assert [record.block for record in tuned] == [1, 2]
    for before, after in zip(found[1:], tuned, strict=True):
        assert before.loss_found is None
        assert after.loss_before is not None
        assert after.loss_found is not None
        assert after.loss_after is not None
        assert after.loss_after <= after.loss_found
        if after.chosen_iteration == 0:
            assert codes(store, after.ref) == codes(store, before.ref)
    assert any(record.chosen_iteration for record in tuned)


def test_the_story_of_a_seam_is_told_in_its_codes(
    finished: tuple[Path, Records, Records],
) -> None:
    """A training loss a step of the seam, and the error it began from; others know none."""
    store, found, tuned = finished
    losses = read_story(FolderStore(store).open(tuned[0].ref))["losses"]

    assert len(losses["training"]) == SEAM.seam
    assert losses["found"] == tuned[0].loss_found
    assert "found" not in read_story(FolderStore(store).open(found[0].ref))["losses"]


def test_captured_states_and_mapped_files_change_no_bit_of_a_seam(
    world: World, finished: tuple[Path, Records, Records]
) -> None:
    """The 16-bit chain of a seam may begin in front of it; the outcome is found again."""
    store, found, tuned = finished
    with open_capture(a_plan(world, store)) as capture:
        start = capture_start.fn(capture, 1).ref

    again = quantized(seam(world, store, found, start=start, compute=TINY_BUDGET))

    assert digests(again) == digests(tuned)
    assert all(record.reused for record in again)


def test_a_seam_from_captured_states_is_the_same(
    world: World, finished: tuple[Path, Records, Records], tmp_path: Path
) -> None:
    """Computed anew, in a store that knows only the segments."""
    _, found, tuned = finished
    segments(world, tmp_path)
    with open_capture(a_plan(world, tmp_path)) as capture:
        start = capture_start.fn(capture, 1).ref

    anew = quantized(seam(world, tmp_path, found, start=start))

    assert digests(anew) == digests(tuned)
    assert not any(record.reused for record in anew)


def test_a_seam_goes_on_behind_its_last_block(
    world: World, finished: tuple[Path, Records, Records], tmp_path: Path
) -> None:
    """Stopped in its second block it keeps the first, leaves no scratch file, and ends the same."""
    _, found, tuned = finished
    segments(world, tmp_path)
    plan = seam(world, tmp_path, found)
    with stopping_at(2, 3), pytest.raises(StoppedError):
        quantized(plan)
    left = leftovers(tmp_path)

    resumed = quantized(plan)

    assert left == []
    assert digests(resumed) == digests(tuned)
    assert [record.reused for record in resumed] == [True, False]


@pytest.mark.parametrize("what", ["steps", "codes before", "codes"])
def test_what_decides_a_seam_is_in_its_fingerprint(
    world: World, finished: tuple[Path, Records, Records], what: str
) -> None:
    """More steps, or other codes anywhere up to the block, are other work."""
    store, found, _ = finished
    others = quantized(world.plan(store))  # in one segment
    longer = SEAM.model_copy(update={"seam": 9})
    plan = {
        "steps": seam(world, store, found, quantization=longer),
        "codes before": seam(world, store, (others[1], *found[1:])),
        "codes": seam(world, store, (found[0], others[1], found[2])),
    }[what]

    assert not quantized(plan, until=2)[0].reused


def test_a_block_that_fell_back_and_stays_says_so(world: World, tmp_path: Path) -> None:
    """What the segment said of a fallback is not lost when the seam finds nothing better."""
    asked = SEAM.model_copy(update={"lr": 500.0})  # far too fast to find anything
    found = (
        *quantized(world.plan(tmp_path, quantization=asked, end_block=1)),
        *quantized(world.plan(tmp_path, quantization=asked, first_block=1)),
    )

    tuned = quantized(seam(world, tmp_path, found, quantization=asked))

    assert found[1].fallback is not None
    assert [r.fallback for r in tuned] == [r.fallback for r in found[1:]]
    assert [r.chosen_iteration for r in tuned] == [0, 0]


def test_a_seam_needs_the_codes_of_all_blocks_before(world: World, tmp_path: Path) -> None:
    """Fewer codes than blocks are refused when the plan is made."""
    found = segments(world, tmp_path)

    with pytest.raises(ValueError, match=f"up to block {BLOCKS} needs the codes of as many"):
        seam(world, tmp_path, found[1:])


def test_precision_is_asked_of_a_seam_too(
    world: World, finished: tuple[Path, Records, Records]
) -> None:
    """A seam in bfloat16 is no answer to one in float32."""
    store, found, _ = finished
    compute = ComputeSpec(device="cpu", dtype="bfloat16")

    assert not quantized(seam(world, store, found, compute=compute), until=2)[0].reused
