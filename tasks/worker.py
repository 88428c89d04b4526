"""Who carries out a piece of work: this process, if its engine is the one that is meant.

Two versions of the engine give other codes, and a release must not be a patchwork of both.
"""

import os
import platform

from infra.errors import EngineMismatchError
from quantcore import ENGINE_VERSION


def worker_name() -> str:
    """Return what a person finds this process by: host and process id."""
    return f"{platform.node()}, process {os.getpid()}"


def require_engine(asked: str, *, own: str = ENGINE_VERSION) -> None:
    """Refuse work that is meant for another version of the engine.

    Args:
        asked: The version that the plan was made for.
        own: The version of this process.

    Raises:
        EngineMismatchError: They differ.
    """
    if asked != own:
        raise EngineMismatchError(
            f"The worker {worker_name()} has version {own} of the engine, and this work was handed "
            f"out for version {asked}: the two give other codes. Install the same release of "
            "Roundhouse on every worker and where the run was started, restart them, and give the "
            "command again; what is finished is kept."
        )
