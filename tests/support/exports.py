"""A real export for tests: the tiny model's Linears rounded to nearest, packed, and written."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from infra.checkpoints import ExportPlan, Format, TensorSpec, write_checkpoints
from infra.models.source import ModelSource
from infra.models.tensors import TensorIndex
from quantcore.grid import IntGrid
from quantcore.packing import group_index, pack
from quantcore.signround import round_to_nearest


def source_of(model: Path) -> ModelSource:
    """Return a model folder's source as if it came from the Hub."""
    return ModelSource(
        path=model,
        repo_id="example/tiny",
        commit="0123456789abcdef0123456789abcdef01234567",
        digest="d" * 64,
    )


class RoundedToNearest:
    """Replaces the Linears of all decoder blocks, packing them as they are asked for."""

    def __init__(self, index: TensorIndex, grid: IntGrid) -> None:
        self._index = index
        self._grid = grid

    @property
    def names(self) -> frozenset[str]:
        """The weights of the Linears in ``model.layers``."""
        return frozenset(
            name
            for name in self._index.names
            if name.startswith("model.layers.") and name.endswith("_proj.weight")
        )

    def shapes(self, weight_name: str) -> Mapping[str, TensorSpec]:
        """Announce by doing it: the weights are tiny."""
        return {
            name: TensorSpec(tensor.dtype, tuple(tensor.shape))
            for name, tensor in self(weight_name).items()
        }

    def __call__(self, weight_name: str) -> Mapping[str, Tensor]:
        """Round and pack one Linear."""
        weight_OI = self._index.load(weight_name)
        packed = pack(round_to_nearest(weight_name, weight_OI, self._grid), self._grid)
        module = weight_name.removesuffix(".weight")
        return {f"{module}.{part}": tensor for part, tensor in packed._asdict().items()}


def plan_of(index: TensorIndex, out_dir: Path, grid: IntGrid) -> ExportPlan:
    """Return the plan that goes with `RoundedToNearest`."""
    return ExportPlan(
        out_dir=out_dir,
        bits=grid.bits,
        group_size=grid.group_size,
        sym=grid.symmetric,
        g_idx={
            f"{name.removesuffix('.weight')}.g_idx": group_index(index.shape(name)[1], grid)
            for name in sorted(RoundedToNearest(index, grid).names)
        },
        provenance={"recipe": {"iters": 0}, "losses": [0.5, 0.25]},
    )


def write_export(model: Path, out_dir: Path, grid: IntGrid) -> dict[Format, Path]:
    """Write both formats of a model folder into ``out_dir``."""
    index = TensorIndex.open(model)
    plan = plan_of(index, out_dir, grid)
    return write_checkpoints(source_of(model), index, RoundedToNearest(index, grid), plan)
