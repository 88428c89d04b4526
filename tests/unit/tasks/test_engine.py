"""Parts of a model become blocks and chains, on the device and in the precision asked for."""

from pathlib import Path

import pytest
import torch

from infra.calibration.conversations import open_processor
from quantcore.activations import Budget
from tasks.engine import budget_of, grid_of, open_model, place_of, torch_threads
from tasks.specs import ComputeSpec, QuantizationSpec
from tests.support.models import image_sample, text_sample
from tests.support.runs import World


def test_each_sample_keeps_its_own_positions(world: World, tmp_path: Path) -> None:
    """Texts of one length share their rotary embeddings; pictures of other shapes never do."""
    encoder = open_processor(world.source.path)
    wide, tall = (image_sample(encoder, size=size) for size in ((112, 56), (56, 112)))
    samples = [text_sample(9, seed=1), wide, text_sample(9, seed=2), tall]
    model = open_model(world.source.path, ComputeSpec(device="cpu"))

    chain = model.chain(samples, name="c", budget=Budget(bytes=2**30, scratch=tmp_path))
    batch = chain.batch([0, 1, 3], torch.device("cpu"), torch.float32)

    assert chain.lengths == tuple(len(sample.input_ids) for sample in samples)
    assert chain.sides[0] is chain.sides[2]
    assert not torch.equal(chain.sides[1]["cos"], chain.sides[3]["cos"])
    for row, sample in enumerate((0, 1, 3)):
        own = chain.sides[sample]["cos"]
        assert torch.equal(batch.side["cos"][row, : len(own)], own)


def test_a_block_runs_in_the_asked_precision(world: World) -> None:
    """In bfloat16 the layer computes in bfloat16, and the weights to quantize are the source's."""
    model = open_model(world.source.path, ComputeSpec(device="cpu", dtype="bfloat16"))
    block = model.block(1)

    assert (block.index, block.dtype) == (1, torch.bfloat16)
    assert {weight.dtype for weight in block.weights.values()} == {torch.bfloat16}
    assert list(block.weights) == list(model.linears(1))


def test_auto_is_the_cpu_in_float32_where_there_is_no_gpu() -> None:
    """Without a GPU nothing is rounded to bfloat16 unless it is asked for."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    place = place_of(ComputeSpec())

    assert (place.device.type, place.dtype) == ("cpu", torch.float32)


def test_threads_are_as_before_afterwards() -> None:
    """The number of threads is set for the block alone, also when it fails; None leaves it."""
    before = torch.get_num_threads()

    with torch_threads(before + 1):
        during = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), torch_threads(before + 1):
        _ = 1 // 0
    after_an_error = torch.get_num_threads()
    with torch_threads(None):
        left_alone = torch.get_num_threads()

    assert (during, after_an_error, left_alone) == (before + 1, before, before)


def test_chains_share_the_budget(tmp_path: Path) -> None:
    """Two chains get half of the asked memory each, whatever is asked."""
    budget = budget_of(ComputeSpec(activation_gib=3), tmp_path, chains=2)

    assert budget == Budget(bytes=3 * 2**29, scratch=tmp_path)


def test_the_grid_is_what_was_asked() -> None:
    """Bits, group size and symmetry reach the engine unchanged."""
    grid = grid_of(QuantizationSpec(bits=3, group_size=-1, symmetric=False))

    assert (grid.bits, grid.group_size, grid.symmetric) == (3, -1, False)
