"""Print scores, fidelity and verdicts on the console."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from flows import verdict_report
from flows.results import Evaluation
from infra.evaluation.tables import ResultsTable
from infra.store import Store


def show_evaluation(evaluation: Evaluation, name: str, store: Store, console: Console) -> None:
    """Print the table of the card, fidelity, and the verdicts with their reasons."""
    table = verdict_report.results_table(evaluation, store)
    if table is not None:
        show_results(table, f"{name}: evaluation", console)
    rows = verdict_report.fidelity_rows(evaluation.variants)
    if rows:
        console.print(grid("fidelity to the 16-bit model", verdict_report.FIDELITY_COLUMNS, rows))
        console.print(verdict_report.FIDELITY_NOTE, markup=False, highlight=False)
    for variant in evaluation.variants:
        for line in verdict_report.verdict_lines(variant):
            console.print(line, markup=False, highlight=False)
    if evaluation.best == "pass" and len(evaluation.variants) > 1:
        console.print(f"To release: {evaluation.chosen}.", markup=False, highlight=False)


def show_results(table: ResultsTable, title: str, console: Console) -> None:
    """Print scores, then the answers that changed, then under which conditions they hold."""
    for caption, rows in ((title, table.rows()), ("answers that changed", table.flip_rows())):
        if rows:
            console.print(grid(caption, tuple(rows[0]), [tuple(row.values()) for row in rows]))
    console.print(table.footnote, markup=False, highlight=False)


def grid(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table with its numbers on the right."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table
