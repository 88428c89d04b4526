"""`roundhouse ui`: the server without a run."""

from pathlib import Path

from rich.console import Console

from flows import hub_server, server
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
    """Stop the workspace's servers: Prefect's, and its own Hub if there is one."""
    servers = (("Prefect server", server.stop), ("Hub", hub_server.stop))
    stopped = [name for name, end in servers if end(workspace.absolute())]
    told = f"Stopped: {', '.join(stopped)}." if stopped else "No server of this workspace runs."
    Console().print(told, highlight=False)
    return Exit.OK
