"""Run a recipe from the command line: server, flow, progress, and a table to judge by."""

from rich.console import Console
from rich.table import Table

from flows import report, server
from flows.cli.exits import Exit
from flows.cli.session import Session
from flows.cli.watching import watched
from flows.quantize import quantize_model
from flows.recipe import Recipe
from flows.results import RunResult


def run_recipe(recipe: Recipe, session: Session) -> Exit:
    """Carry out ``recipe`` and print what came of it."""
    show(recipe, execute(recipe, session))
    return Exit.OK


def execute(recipe: Recipe, session: Session) -> RunResult:
    """Carry out ``recipe`` on a server of Prefect's, showing progress on standard error.

    Raises:
        FlowError: The recipe, the server or the verification refuses.
        InfraError: The model, the data or the disk refuses.
        QuantcoreError: The weights or the grid refuse.
    """
    console = Console(stderr=True)
    workspace = session.workspace.absolute()
    if server.read_record(workspace) is None and server.configured_url() is None:
        console.print("Starting a Prefect server (the first time takes half a minute) ...")
    with (
        server.connected(workspace, keep=session.keep_server) as connection,
        watched(console, verbose=session.verbose),
    ):
        console.print(
            f"Prefect server {connection.how}: {connection.ui_url}", highlight=False, soft_wrap=True
        )
        return quantize_model(recipe, workspace / "store")


def show(recipe: Recipe, result: RunResult) -> None:
    """Print the table of variants and the folders to standard output."""
    console = Console(soft_wrap=True)
    table = Table(title=f"{recipe.name}: {recipe.model.source}", title_justify="left")
    table.add_column(report.COLUMNS[0])
    for column in report.COLUMNS[1:]:
        table.add_column(column, justify="right")
    for variant in result.variants:
        table.add_row(*report.summary_row(variant))
    console.print(table)
    for variant in result.variants:
        for kind, folder in variant.export.folders.items():
            modules = variant.verification.folders[kind].quantized_modules
            console.print(
                f"{folder}  {kind}, {modules} layers quantized, verified",
                markup=False,
                highlight=False,
            )
    if recipe.not_run:
        console.print(f"Checked, but not run by this version: {', '.join(recipe.not_run)}.")
