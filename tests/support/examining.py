"""Small models, exports and tables to examine, for tests of the steps of an evaluation."""

from pathlib import Path
from typing import Any

from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.models.source import resolve
from quantcore.grid import IntGrid
from tasks.answer import Shard
from tasks.evalspecs import BenchmarksSpec, Subject, TableRef
from tasks.specs import ComputeSpec
from tasks.tables import find_benchmarks
from tests.support.exports import write_export
from tests.support.places import place_at

ON_CPU = ComputeSpec(device="cpu", dtype="float32")
SIZES = BenchmarkSizes(circular_groups=2, science=3, reading=3, presence=8)
NAMES = ("MMBench_DEV_EN_V11", "ScienceQA_VAL", "TextVQA_VAL", "POPE")


def asking(folder: Path, **changes: Any) -> BenchmarksSpec:
    """Return how the tables of ``folder`` are asked: with answers of at most three tokens."""
    asked: dict[str, Any] = {
        "names": NAMES,
        "source": str(folder),
        "max_new_tokens": 3,
        "batch_size": 4,
    }
    return BenchmarksSpec(**asked | changes)


def demo_tables(folder: Path, sizes: BenchmarkSizes = SIZES) -> tuple[TableRef, ...]:
    """Write the four demo benchmarks, a few rows each, and find them."""
    write_benchmarks(folder, seed=3, sizes=sizes)
    return find_benchmarks.fn(asking(folder), folder / "cache")


def subject(name: str, folder: Path) -> Subject:
    """Return a model folder as it is now."""
    return Subject(name=name, source=resolve(str(folder)))


def rounded(model: Path, out: Path, *, bits: int = 4, group_size: int = 32) -> Path:
    """Export a model rounded to nearest, and return the folder of one format."""
    grid = IntGrid(bits=bits, group_size=group_size, symmetric=True)
    return write_export(model, out, grid)["auto_round"]


def a_shard(model: Subject, tables: tuple[TableRef, ...], store: Path, **changes: Any) -> Shard:
    """Return the only shard of all tables; ``changes`` are of how they are asked."""
    number = changes.pop("number", 0)
    return Shard(
        subject=model,
        tables=tables,
        asked=asking(tables[0].path.parent, **changes),
        compute=ON_CPU,
        number=number,
        place=place_at(store),
    )
