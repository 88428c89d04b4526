"""`roundhouse evaluate`: checkpoints beside their 16-bit model, and may they be released?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from rich.console import Console

from flows.cli import judging
from flows.cli.arguments import held_out
from flows.cli.execute import VERDICTS, connected
from flows.cli.exits import Exit
from flows.cli.session import Session
from flows.errors import RecipeError
from flows.evaluate import BASELINE, Checkpoint, EvaluationRequest, evaluate_checkpoints
from flows.evaluation_file import as_json, document
from flows.recipe import ModelSpec
from flows.results import Evaluation
from infra.calibration.spec import CalibrationSpec
from infra.evaluation.catalog import named
from infra.evaluation.fetch import benchmarks_at
from infra.evaluation.rules import rule_set
from infra.evaluation.spreadsheet import write_spreadsheet
from infra.evaluation.tables import TASK
from infra.files import make_folder, write_atomically
from infra.store import Place, Store, open_store
from tasks.evalspecs import BenchmarksSpec
from tasks.score import read_scores
from tasks.specs import ComputeSpec


class HeldOut(NamedTuple):
    """Text that neither model has learned from."""

    source: str | None
    nsamples: int
    seqlen: int


class Asked(NamedTuple):
    """What the flags of `roundhouse evaluate` say."""

    checkpoints: Sequence[str]
    baseline: str | None
    benchmarks: str
    tasks: str | None
    held_out: HeldOut
    answering: dict[str, Any]  # fields of `BenchmarksSpec`
    compute: dict[str, Any]  # fields of `ComputeSpec`
    json: Path | None
    spreadsheets: Path | None


def run(asked: Asked, session: Session) -> Exit:
    """Evaluate, print, and write what is asked for.

    Raises:
        FlowError: The flags are wrong, or the server refuses.
        InfraError: A model, a benchmark or the disk refuses.
    """
    wanted = request(asked, session.workspace.absolute())
    with connected(session) as workspace:
        evaluation = evaluate_checkpoints(wanted, workspace)
    store = open_store(Place.of(workspace, wanted.store))
    judging.show_evaluation(
        evaluation, wanted.name, store, Console(soft_wrap=True, highlight=False)
    )
    if asked.json is not None:
        baseline = None if wanted.baseline is None else BASELINE
        write_atomically(asked.json, as_json(document(evaluation, baseline, store)))
    if asked.spreadsheets is not None:
        _write_spreadsheets(asked.spreadsheets, evaluation, store)
    return VERDICTS.get(evaluation.worst, Exit.OK)


def _write_spreadsheets(folder: Path, evaluation: Evaluation, store: Store) -> None:
    """Write each model's answers as VLMEvalKit names and reads them."""
    make_folder(folder)
    for model in evaluation.models:
        told = read_scores(store, model.scores)
        for table in evaluation.tables:
            name = table.benchmark.name
            answers = {row.index: row.prediction for row in told[name].rows}
            path = folder / f"{model.name.replace('/', '-')}_{name}.xlsx"
            write_spreadsheet(path, table.path, answers)


def request(asked: Asked, workspace: Path) -> EvaluationRequest:
    """Check the flags.

    Raises:
        RecipeError: A flag does not say what it must.
        UnknownRulesError: There are no rules of that name.
        UnknownBenchmarkError: There is no benchmark of that name.
    """
    rule_set(asked.answering["rules"])
    if asked.spreadsheets is not None and asked.answering["limit"] is not None:
        raise RecipeError(
            "--spreadsheets needs the answers to all rows, because VLMEvalKit would take a part "
            f"for the whole. Leave --limit {asked.answering['limit']} out, or write --json alone."
        )
    names = _tasks(asked, workspace)
    source, nsamples, seqlen = asked.held_out
    text = None if source is None else held_out(source, nsamples, seqlen)
    try:
        return EvaluationRequest(
            name="evaluate",
            baseline=None if asked.baseline is None else ModelSpec(source=asked.baseline),
            checkpoints=tuple(
                Checkpoint(name=name, location=ModelSpec(source=location))
                for name, location in zip(titles(asked.checkpoints), asked.checkpoints, strict=True)
            ),
            asked=BenchmarksSpec(names=names, source=asked.benchmarks, **asked.answering),
            text=None if text is None else CalibrationSpec(**text),
            compute=ComputeSpec(**asked.compute),
        )
    except ValidationError as error:
        told = "; ".join(f"{_flag(e['loc'])}: {e['msg']}" for e in error.errors())
        raise RecipeError(
            f"The flags do not fit: {told}. See roundhouse evaluate --help."
        ) from error


def _flag(place: Sequence[int | str]) -> str:
    """Return the flag behind a field."""
    field = str(place[0])
    return "--tasks" if field == "names" else f"--{field.replace('_', '-')}"


def titles(checkpoints: Sequence[str]) -> tuple[str, ...]:
    """Return the shortest ends of the paths that tell the checkpoints apart.

    Raises:
        RecipeError: One of them is named twice.
    """
    parts = [Path(each).absolute().parts for each in checkpoints]
    for length in range(1, max(map(len, parts)) + 1):
        ends = tuple("/".join(each[-length:]) for each in parts)
        if len(set(ends)) == len(ends) and not {BASELINE, TASK}.intersection(ends):
            return ends
    raise RecipeError(
        f"The checkpoints {', '.join(checkpoints)} are not different ones. Name each of them once."
    )


def _tasks(asked: Asked, workspace: Path) -> tuple[str, ...]:
    """Return the benchmarks that are asked for: those named, or all that the folder has."""
    known = benchmarks_at(asked.benchmarks, workspace / "store" / "benchmarks")
    if asked.tasks is not None:
        names = (name.strip() for name in asked.tasks.split(","))
        return tuple(named(name, known).name for name in names if name)
    folder = Path(asked.benchmarks).expanduser()
    there = tuple(name for name in known if (folder / f"{name}.tsv").is_file())
    if not there:
        raise RecipeError(
            f"{asked.benchmarks} holds no table of a known benchmark ({', '.join(known)}). Name "
            "the folder that holds their TSV files, or say with --tasks which are meant."
        )
    return there
