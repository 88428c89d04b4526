"""`roundhouse score`: what recorded answers are worth, whoever made them."""

from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from flows.cli.exits import Exit
from infra.evaluation.benchmark import Kind
from infra.evaluation.predictionfile import read_predictions
from infra.evaluation.rules import rule_set
from infra.evaluation.scored import Report, Scored
from infra.evaluation.scoring import score
from infra.evaluation.single import read_single
from infra.files import write_atomically


class Asked(NamedTuple):
    """What the flags of `roundhouse score` say."""

    kind: Kind
    benchmark: Path
    predictions: Path
    rules: str
    circular: bool | None
    json: Path | None


def run(asked: Asked) -> Exit:
    """Score the answers, print the report, and write all of it where that is asked for.

    Raises:
        EvaluationError: The table, the answers or the rules cannot be used; see the subclasses.
        StorageError: A file cannot be read or written.
    """
    rules = rule_set(asked.rules)
    recorded = read_predictions(asked.predictions)
    table = read_single(asked.benchmark, asked.kind, circular=asked.circular)
    scored = score(table, recorded.predictions, rules, recorded.capped)
    if asked.json is not None:
        write_atomically(asked.json, scored.model_dump_json(by_alias=True, indent=2).encode())
    _show(scored, Console(soft_wrap=True, highlight=False))
    return Exit.OK


def _show(scored: Scored, console: Console) -> None:
    console.print(_by_category(scored.report) if scored.kind != "yes_no" else _detected(scored))
    report, units = scored.report, f"{len(scored.rows)} rows"
    if scored.circular:
        units += f", {len(scored.groups)} questions of which every rotation must be right"
    console.print(
        f"{scored.benchmark}: {units}; rules {scored.rules}, no judge model. Unreadable "
        f"{report.unreadable:.2f}, capped {report.capped:.2f}.",
        markup=False,
    )
    for note in scored.notes:
        console.print(f"- {note}", markup=False)


def _by_category(report: Report) -> Table:
    """Return one line a number, in points."""
    table = _table("", "points")
    table.add_row("Overall", f"{report.overall:.2f}")
    if report.vanilla is not None:
        table.add_row("single rows", f"{report.vanilla:.2f}")
    for numbers in (report.splits, report.l2_categories, report.categories):
        if numbers:
            table.add_section()
        for name, points in numbers.items():
            table.add_row(_literal(name), f"{points:.2f}")
    return table


def _detected(scored: Scored) -> Table:
    """Return one line a category, with all that is known of a detector."""
    table = _table("", "F1", "acc", "precision", "recall")
    names = [name for name in scored.report.detection if name != "Overall"]
    for name in ("Overall", *names):
        one = scored.report.detection[name]
        numbers = (one.f1, one.acc, one.precision, one.recall)
        table.add_row(_literal(name), *(f"{number:.2f}" for number in numbers))
    table.add_section()
    table.add_row("answers Yes", f"{scored.report.yes_share:.2f}")
    return table


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    return table


def _literal(name: str) -> str:
    """Return a category's name with nothing in it that rich would take for markup."""
    return name.replace("[", r"\[")
