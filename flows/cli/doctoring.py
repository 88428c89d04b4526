"""`roundhouse doctor`: what the command does."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows import recipefile
from flows.cli.exits import Exit
from flows.service.doctor import Finding, examine
from flows.service.settings import read_settings

COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}


def run(workspace: Path, recipes: Sequence[str], *, as_json: bool) -> Exit:
    """Look, and print what was found.

    Args:
        workspace: Folder of this machine.
        recipes: Whose stores and Hubs are looked at; none: those of the workspace's service.
        as_json: Print for programs.

    Raises:
        RecipeError: A recipe is not sound.
    """
    served = read_settings(workspace.absolute()) if not recipes else None
    chosen = served.recipes if served is not None else recipes
    loaded = [recipefile.load(name) for name in chosen]
    findings = tuple(examine(workspace.absolute(), loaded))
    if as_json:
        told = [finding.model_dump(mode="json") for finding in findings]
        sys.stdout.write(f"{json.dumps(told, indent=2)}\n")
    else:
        Console().print(table_of(findings))
    failed = any(finding.state == "fail" for finding in findings)
    return Exit.ENVIRONMENT if failed else Exit.OK


def table_of(findings: Sequence[Finding]) -> Table:
    """Return findings as a table."""
    table = Table("", "what", "seen, and what to do", show_header=True)
    for each in findings:
        told = Text(each.seen)
        if each.remedy:
            told.append(f"\n{each.remedy}", style="bold")
        table.add_row(Text(each.state, style=COLORS[each.state]), Text(each.name), told)
    return table
