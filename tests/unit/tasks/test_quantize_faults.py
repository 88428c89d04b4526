"""A segment may be stopped anywhere, and its store be damaged: the outcome is the same to the bit.

What an error leaves behind is what was finished before it, and nothing else.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from infra.errors import InfraError
from infra.models.source import resolve
from infra.store import FolderStore
from quantcore.errors import GroupSizeError, NonFiniteWeightError
from tasks.progress import LOGGER_NAME
from tasks.quantize import open_segment, quantize_block
from tasks.specs import BlockRecord, ComputeSpec, QuantizationSpec
from tests.support.models import replaced, rewritten
from tests.support.places import place_at
from tests.support.runs import BLOCKS, LEARNED, NEAREST, World, digests, quantized

TINY_BUDGET = ComputeSpec(device="cpu", activation_gib=1e-9)
Records = tuple[BlockRecord, ...]


class StoppedError(Exception):
    """Stands for whatever ends a run in the middle of a block."""


class Stopper(logging.Handler):
    """Ends the run at a step of a block."""

    def __init__(self, block: int, step: int) -> None:
        super().__init__()
        self.at = (block, step)

    def emit(self, record: logging.LogRecord) -> None:
        """Raise when the step is reached."""
        event = record.__dict__["event"]
        if (event.block, event.iteration) == self.at:
            raise StoppedError


@contextmanager
def stopping_at(block: int, step: int) -> Iterator[None]:
    """Let a step of a block end in an error."""
    logger, handler = logging.getLogger(LOGGER_NAME), Stopper(block, step)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def leftovers(store: Path) -> list[Path]:
    """Return what should not be there after a run."""
    folders = (place_at(store).local / "scratch", store / "tmp")
    assert folders[0].is_dir()
    return [path for folder in folders for path in folder.rglob("*")]


@pytest.fixture(scope="module")
def undisturbed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Records:
    """Return the records of a run on texts that nothing disturbed."""
    return quantized(world.plan(tmp_path_factory.mktemp("undisturbed")))


@pytest.mark.parametrize("done", range(BLOCKS))
def test_a_run_goes_on_behind_its_last_block(
    world: World, tmp_path: Path, undisturbed: Records, done: int
) -> None:
    """After any number of finished blocks a new process gives the same bytes for the rest."""
    quantized(world.plan(tmp_path), until=done)

    resumed = quantized(world.plan(tmp_path))

    assert digests(resumed) == digests(undisturbed)
    assert [record.reused for record in resumed] == [n < done for n in range(BLOCKS)]


@pytest.mark.parametrize("compute", [ComputeSpec(device="cpu"), TINY_BUDGET], ids=["ram", "file"])
def test_pictures_resume_as_well(world: World, tmp_path: Path, compute: ComputeSpec) -> None:
    """With pictures, and with activations in a mapped file, resuming changes no bit either."""
    plain = quantized(world.plan(tmp_path / "one", world.pictures))
    quantized(world.plan(tmp_path / "two", world.pictures, compute=compute), until=1)

    resumed = quantized(world.plan(tmp_path / "two", world.pictures, compute=compute))

    assert digests(resumed) == digests(plain)
    assert [record.reused for record in resumed] == [True, False, False]


def test_activations_really_go_into_a_file(world: World, tmp_path: Path) -> None:
    """A budget that is too small puts both chains into the segment's scratch folder."""
    with open_segment(world.plan(tmp_path, compute=TINY_BUDGET)) as segment:
        quantize_block.fn(segment, 0)
        chains = segment.chains
        assert chains is not None
        mapped = {str(c.states.untyped_storage().filename) for c in (chains.full, chains.quantized)}

    assert {Path(name).parent for name in mapped} == {segment.scratch}
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("compute", [ComputeSpec(device="cpu"), TINY_BUDGET], ids=["ram", "file"])
def test_an_error_in_a_block_loses_nothing_that_was_finished(
    world: World, tmp_path: Path, undisturbed: Records, compute: ComputeSpec
) -> None:
    """Stopped in the middle of block 1: block 0 stays, scratch is empty, the rest is the same."""
    plan = world.plan(tmp_path, compute=compute)
    with stopping_at(1, 3), pytest.raises(StoppedError):
        quantized(plan)
    left = leftovers(tmp_path)

    resumed = quantized(plan)

    assert left == []
    assert digests(resumed) == digests(undisturbed)
    assert [record.reused for record in resumed] == [True, False, False]


def test_a_block_that_failed_can_be_tried_again(
    world: World, tmp_path: Path, undisturbed: Records
) -> None:
    """The chains of a failed block stand halfway: the next try of the same segment starts anew."""
    with open_segment(world.plan(tmp_path)) as segment:
        records = [quantize_block.fn(segment, 0)]
        with stopping_at(1, 2), pytest.raises(StoppedError):
            quantize_block.fn(segment, 1)
        records += [quantize_block.fn(segment, block) for block in (1, 2)]

    assert digests(tuple(records)) == digests(undisturbed)


@pytest.mark.parametrize("damage", ["delete", "flip"])
def test_a_damaged_block_is_mended(
    world: World, tmp_path: Path, undisturbed: Records, damage: str
) -> None:
    """A stored block that is gone or has a flipped bit is computed again, and is sound then."""
    plan = world.plan(tmp_path)
    ref = quantized(plan)[1].ref
    path = FolderStore(tmp_path).open(ref)
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    mended = quantized(plan)

    assert digests(mended) == digests(undisturbed)
    assert [record.reused for record in mended] == [True, False, True]
    assert FolderStore(tmp_path).open(ref) == path


def test_codes_that_cannot_be_had_again_are_replaced(world: World, tmp_path: Path) -> None:
    """If other codes come out than those that were lost, the run goes on with the new ones."""
    plan = world.plan(tmp_path, quantization=NEAREST)
    first = quantized(plan, until=1)[0]
    (manifest,) = (tmp_path / "manifests").iterdir()
    lost = manifest.read_text().replace(first.ref.sha256, "0" * 64)
    manifest.unlink()
    manifest.write_text(lost)

    again = quantized(plan, until=1)[0]

    assert (again.ref, again.reused) == (first.ref, False)


@pytest.mark.parametrize("asked", [LEARNED, NEAREST], ids=["learned", "nearest"])
def test_nan_in_a_weight_is_said_by_its_name(
    world: World, tmp_path: Path, asked: QuantizationSpec
) -> None:
    """The tensor is named, the blocks before it are kept, and nothing of it is stored."""
    name = "model.layers.1.mlp.down_proj.weight"

    def spoil(weight: torch.Tensor) -> torch.Tensor:
        weight[3, 5] = torch.nan
        return weight

    folder = rewritten(world.source.path, tmp_path / "model", weights=replaced(name, spoil))
    plan = world.plan(tmp_path / "store", quantization=asked, source=resolve(str(folder)))

    with pytest.raises(NonFiniteWeightError, match=name):
        quantized(plan)

    assert len(list((tmp_path / "store" / "manifests").iterdir())) == 1
    assert leftovers(tmp_path / "store") == []


@pytest.mark.parametrize("iters", [0, 4])
def test_a_group_size_that_does_not_divide_is_refused(
    world: World, tmp_path: Path, iters: int
) -> None:
    """The Linears of 192 inputs take no groups of 128, whether learned or rounded."""
    name = "model.layers.0.mlp.down_proj.weight"
    half = replaced(name, lambda t: t[:, :192])
    rows = [f"model.layers.0.mlp.{part}_proj.weight" for part in ("gate", "up")]

    def narrower(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return half({n: t[:192].contiguous() if n in rows else t for n, t in weights.items()})

    config = {"intermediate_size": 192}
    folder = rewritten(world.source.path, tmp_path / "m", weights=narrower, config=config)
    asked = LEARNED.model_copy(update={"group_size": 128, "iters": iters})

    with pytest.raises(GroupSizeError, match="192"):
        quantized(
            world.plan(tmp_path / "store", quantization=asked, source=resolve(str(folder))), until=1
        )


def test_lost_samples_are_said(world: World, tmp_path: Path) -> None:
    """Without its calibration set in the store a segment stops with the store's own error."""
    plan = world.plan(tmp_path)
    FolderStore(tmp_path).open(world.texts.ref).unlink()

    with pytest.raises(InfraError, match=world.texts.ref.sha256):
        quantized(plan)

    assert leftovers(tmp_path) == []
