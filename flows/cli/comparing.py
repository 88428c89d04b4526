"""`roundhouse compare`: two results that were written earlier, paired by question."""

from pathlib import Path

from rich.console import Console

from flows.cli import judging
from flows.cli.exits import Exit
from flows.errors import EvaluationFileError
from flows.evaluation_file import ModelResult, read_model
from infra.evaluation.comparison import compare
from infra.evaluation.gate import judge
from infra.evaluation.tables import BASELINE, TASK, results
from infra.files import write_atomically


def run(baseline: str, candidate: str, json: Path | None) -> Exit:
    """Compare, print, and write what is asked for.

    Raises:
        EvaluationFileError: A file holds no evaluation, or not the model that is asked for.
        ComparisonError: The two are not of the same benchmarks, rows and rules.
    """
    one, other = _read(baseline), _read(candidate)
    if one.engine != other.engine and one.engine and other.engine:
        raise EvaluationFileError(
            f"{baseline} and {candidate} were answered by different engines or settings: "
            f"{_apart(one, other)}. Such scores differ by themselves; answer both the same way."
        )
    compared = compare(one.benchmarks, other.benchmarks)
    console = Console(soft_wrap=True, highlight=False)
    engine = str(one.engine.get("engine", "whoever recorded the answers"))
    judging.show_results(
        results({_column(other.name, candidate): compared}, engine=engine),
        f"{one.name} and {other.name}",
        console,
    )
    for finding in judge(compared, None).reasons:
        console.print(f"{finding.outcome}: {finding.words}", markup=False)
    if json is not None:
        write_atomically(json, (compared.model_dump_json(indent=1) + "\n").encode())
    return Exit.OK


def _column(name: str, argument: str) -> str:
    """Return what the candidate's column is called; the first two have their names already."""
    return Path(argument).name if name in (BASELINE, TASK) else name


def _read(named: str) -> ModelResult:
    """Read FILE, or FILE:NAME where the file holds several models."""
    path, _, name = named.rpartition(":")
    if path and not Path(named).exists():
        return read_model(Path(path), name)
    return read_model(Path(named), None)


def _apart(one: ModelResult, other: ModelResult) -> str:
    names = sorted(one.engine.keys() | other.engine.keys())
    return ", ".join(
        f"{name} {one.engine.get(name)} and {other.engine.get(name)}"
        for name in names
        if one.engine.get(name) != other.engine.get(name)
    )
