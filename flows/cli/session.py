"""What every command that runs something is told beside what to run."""

from pathlib import Path
from typing import NamedTuple


class Session(NamedTuple):
    """How a command runs, whatever it runs."""

    workspace: Path
    keep_server: bool
    verbose: bool
    approve_hold: bool = False

    @property
    def after_interrupt(self) -> str:
        """What a person should know who has just stopped the command."""
        store = self.workspace / "store"
        return f"Finished blocks are kept in {store}; the same command goes on from there."
