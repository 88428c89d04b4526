"""The plan follows the source's order, keeps to its sizes, and refuses what cannot fit."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from infra.checkpoints.plan import check_g_idx, plan_shards
from infra.checkpoints.tensorfile import TensorSpec
from infra.errors import ExportPlanError
from infra.models.tensors import TensorIndex
from quantcore.grid import IntGrid
from tests.support.exports import RoundedToNearest, plan_of

Q_PROJ = "model.layers.0.self_attn.q_proj.weight"


@dataclasses.dataclass(frozen=True)
class Announced:
    """A replacement that only announces; a plan asks for no more."""

    outputs: Mapping[str, Mapping[str, TensorSpec]]

    @property
    def names(self) -> frozenset[str]:
        """The replaced weights."""
        return frozenset(self.outputs)

    def shapes(self, weight_name: str) -> Mapping[str, TensorSpec]:
        """What was announced."""
        return self.outputs[weight_name]

    def __call__(self, weight_name: str) -> Mapping[str, Tensor]:
        """Fail: planning must read no tensor."""
        raise AssertionError(weight_name)


@pytest.fixture
def index(tiny_model: Path) -> TensorIndex:
    """The tiny model's tensors."""
    return TensorIndex.open(tiny_model)


def test_units_keep_the_source_order(index: TensorIndex) -> None:
    """Nothing is lost, doubled or reordered, whatever the size of a shard."""
    for size in (1, 100_000, 10**12):
        shards = plan_shards(index, Announced({}), size)

        sources = tuple(unit.source for shard in shards for unit in shard.units)
        assert index.names == sources


def test_shards_keep_to_their_size(index: TensorIndex) -> None:
    """A shard is larger than allowed only where a single unit is."""
    largest = 300_000

    shards = plan_shards(index, RoundedToNearest(index, IntGrid()), largest)

    sizes = [(sum(unit.nbytes for unit in shard.units), len(shard.units)) for shard in shards]
    assert len(shards) > 3
    assert all(size <= largest or count == 1 for size, count in sizes)


def test_shards_are_numbered_from_one(index: TensorIndex) -> None:
    """Names are those that every client knows, even for a single shard."""
    expected = ["model-00001-of-00001.safetensors"]

    shards = plan_shards(index, Announced({}), 10**12)

    assert expected == [shard.file for shard in shards]


def test_a_quantized_linear_stays_in_one_shard(index: TensorIndex) -> None:
    """Codes, zeros and scales of a module are in one file."""
    shards = plan_shards(index, RoundedToNearest(index, IntGrid()), 1)

    module = Q_PROJ.removesuffix(".weight")
    holders = [shard for shard in shards if f"{module}.qweight" in shard.specs]
    assert len(holders) == 1
    assert {f"{module}.{part}" for part in ("qweight", "qzeros", "scales")} == set(holders[0].specs)


@pytest.mark.parametrize(
    ("weight", "outputs", "message"),
    [
        ("model.layers.99.mlp.up_proj.weight", (), "not in the source"),
        ("model.norm.weight", (), "two dimensions"),
        ("model.layers.0.self_attn.q_proj.bias", (), "ends in .weight"),
        (Q_PROJ, ("model.layers.0.self_attn.k_proj.qweight",), "another module"),
        (Q_PROJ, ("model.layers.0.self_attn.q_proj.bias",), "Two tensors"),
    ],
)
def test_a_replacement_that_cannot_fit_is_refused(
    index: TensorIndex, weight: str, outputs: tuple[str, ...], message: str
) -> None:
    """A name that is unknown, no Linear's, another module's, or taken is said by name."""
    spec = TensorSpec(torch.int32, (1,))
    replacement = Announced({weight: dict.fromkeys(outputs, spec)})

    with pytest.raises(ExportPlanError, match=message) as caught:
        plan_shards(index, replacement, 10**12)

    assert (outputs[-1] if message == "Two tensors" else weight) in str(caught.value)


def test_every_linear_needs_its_g_idx(index: TensorIndex) -> None:
    """Without g_idx transformers reads memory that nobody wrote, so a missing one is refused."""
    replacement = RoundedToNearest(index, IntGrid())
    g_idx = dict(plan_of(index, Path(), IntGrid()).g_idx)
    check_g_idx(g_idx, index, replacement.names)

    g_idx.pop("model.layers.1.mlp.up_proj.g_idx")

    with pytest.raises(ExportPlanError, match=r"1 names differ.*1\.mlp\.up_proj\.g_idx"):
        check_g_idx(g_idx, index, replacement.names)


@pytest.mark.parametrize("bad", [torch.zeros(256, dtype=torch.int64), torch.zeros(2).int()])
def test_a_g_idx_of_another_form_is_refused(index: TensorIndex, bad: Tensor) -> None:
    """It is int32 and as long as the Linear has inputs."""
    g_idx = {**plan_of(index, Path(), IntGrid()).g_idx, Q_PROJ.replace("weight", "g_idx"): bad}

    with pytest.raises(ExportPlanError, match=r"q_proj.g_idx is torch.* \[256\]"):
        check_g_idx(g_idx, index, RoundedToNearest(index, IntGrid()).names)
