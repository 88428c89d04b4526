"""Which benchmarks there are: those of the reference card, and those that a folder brings along.

A table of another name than these is never guessed at: whether its rotations count together, or
what its pictures are scaled to, is not in the table, and a wrong guess gives a plausible number.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import ValidationError

from infra.errors import CatalogError, UnknownBenchmarkError
from infra.evaluation.benchmark import Benchmark

OWN = "benchmarks.yaml"
"""Name of the file in a folder of tables that describes those that are not in the catalog."""

_CATALOG = Path(__file__).with_name("catalog.yaml")
_REMEDY = (
    "An entry is the table's name with the fields of infra/evaluation/catalog.yaml, as in "
    '"MyTable: {kind: mcq}"; kind is mcq, yes_no or vqa.'
)


def known() -> dict[str, Benchmark]:
    """Return the benchmarks of the reference card by their names."""
    return _read(_CATALOG)


def of_folder(folder: Path) -> dict[str, Benchmark]:
    """Return `known`, with what ``folder``'s own `benchmarks.yaml` adds or says otherwise.

    Raises:
        CatalogError: That file cannot be read, or an entry of it describes no benchmark.
    """
    own = folder / OWN
    return known() | (_read(own) if own.is_file() else {})


def named(name: str, benchmarks: Mapping[str, Benchmark]) -> Benchmark:
    """Return the benchmark called ``name``.

    Raises:
        UnknownBenchmarkError: ``benchmarks`` has none of this name.
    """
    if name not in benchmarks:
        raise UnknownBenchmarkError(
            f"{name!r} is not a benchmark that is known here ({', '.join(benchmarks)}). Check the "
            f"spelling, or describe it in {OWN} beside its table. {_REMEDY}"
        )
    return benchmarks[name]


def _read(path: Path) -> dict[str, Benchmark]:
    try:
        entries = yaml.safe_load(path.read_bytes()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogError(f"{path} cannot be read as YAML: {error}. {_REMEDY}") from error
    if not isinstance(entries, dict):
        raise CatalogError(
            f"{path} holds a {type(entries).__name__}, not benchmarks by name. {_REMEDY}"
        )
    return {str(name): _entry(str(name), fields, path) for name, fields in entries.items()}


def _entry(name: str, fields: object, path: Path) -> Benchmark:
    if not isinstance(fields, Mapping):
        raise CatalogError(
            f"{path}: the entry {name!r} is {fields!r}, which has no fields. {_REMEDY}"
        )
    try:
        return Benchmark.model_validate({**fields, "name": name})
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise CatalogError(
            f"{path}: the entry {name!r} describes no benchmark: {wrong}. {_REMEDY}"
        ) from error
