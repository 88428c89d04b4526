"""`roundhouse ui`: the server without a run."""

from pathlib import Path

from rich.console import Console

from flows import server
from flows.cli.exits import Exit


def start(workspace: Path) -> Exit:
    """Start the workspace's server, or find it, and print where it is."""
    console = Console(highlight=False, soft_wrap=True)
    if url := server.configured_url():
        console.print(f"Prefect is configured to use {url}; nothing was started.")
        return Exit.OK
    record, how = server.ensure(workspace.absolute())
    console.print(f"Prefect server {how}: {record.ui_url}  (process {record.pid})")
    return Exit.OK


def stop(workspace: Path) -> Exit:
    """Stop the workspace's server."""
    stopped = server.stop(workspace.absolute())
    Console().print("Stopped." if stopped else "No server of this workspace is running.")
    return Exit.OK
