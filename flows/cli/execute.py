"""Run a recipe from the command line: server, flow, progress, and a table to judge by."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows import hub_server, report, server
from flows.cli.exits import Exit
from flows.cli.judging import show_evaluation
from flows.cli.session import Session
from flows.cli.watching import watched
from flows.quantize import quantize_model
from flows.recipe import Recipe
from flows.results import RunResult
from infra.evaluation.verdict import Outcome
from infra.publishing.published import Published
from infra.store import Store, open_store

VERDICTS: Mapping[Outcome | None, Exit] = {"fail": Exit.REFUSED, "hold": Exit.HELD}


def run_recipe(recipe: Recipe, session: Session) -> Exit:
    """Carry out ``recipe`` and print what came of it."""
    result = execute(recipe, session)
    show(recipe, result, open_store(recipe.at(session.workspace)))
    return exit_of(result)


def exit_of(result: RunResult) -> Exit:
    """Return what a program should know of the verdict."""
    if result.evaluation is None or result.approval is not None:
        return Exit.OK
    return VERDICTS.get(result.evaluation.best, Exit.OK)


def execute(recipe: Recipe, session: Session) -> RunResult:
    """Carry out ``recipe`` on a server of Prefect's, showing progress on standard error.

    Raises:
        FlowError: The recipe, the server or the verification refuses.
        InfraError: The model, the data or the disk refuses.
        QuantcoreError: The weights or the grid refuse.
    """
    with connected(session) as workspace:
        result = quantize_model(recipe, workspace, approve_hold=session.approve_hold)
    assert isinstance(result, RunResult)  # noqa: S101 -- a state's data is what a call returns
    return result


@contextlib.contextmanager
def connected(session: Session) -> Iterator[Path]:
    """Run something with a server and its progress on standard error; yield the workspace.

    Raises:
        ServerError: The server cannot be started or reached.
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
        try:
            yield workspace
        finally:
            if not session.keep_server:
                hub_server.stop(workspace)


def show_published(published: Published, console: Console) -> None:
    """Print under which names a release can be had."""
    made = "Published" if published.commits else "Published before, and nothing has changed"
    console.print(
        f"{made}: {published.repo_id} {published.version} at {published.endpoint}",
        markup=False,
        highlight=False,
    )
    for kind, pinned in (("auto_round", published.main), ("auto_gptq", published.gptq)):
        console.print(
            f"  {kind}: {pinned.repo_id}, revision {pinned.short} (tag {pinned.tag})",
            markup=False,
            highlight=False,
        )


def show(recipe: Recipe, result: RunResult, store: Store) -> None:
    """Print the table of variants and the folders to standard output."""
    console = Console(soft_wrap=True)
    table = Table(title=f"{recipe.name}: {recipe.model.source}", title_justify="left")
    table.add_column(report.COLUMNS[0])
    for column in report.COLUMNS[1:]:
        table.add_column(column, justify="right")
    for row in report.summary_rows(result):
        table.add_row(*row)
    console.print(table)
    if result.evaluation is not None:
        show_evaluation(result.evaluation, recipe.name, store, console)
    for variant in result.variants:
        for kind, folder in variant.export.folders.items():
            modules = variant.verification.folders[kind].quantized_modules
            console.print(
                f"{folder}  {kind}, {modules} layers quantized, verified",
                markup=False,
                highlight=False,
            )
    if result.approval is not None:
        console.print(f"Held, and approved by {result.approval.by}.", markup=False)
    if result.published is not None:
        show_published(result.published, console)
