"""Who carries out a piece of work: this process, if its engine is the one that is meant.

Two versions of the engine give other codes, as two versions of torch may, and a release must not be
a patchwork of both.
"""

import os
import platform

import torch

from infra.errors import EngineMismatchError
from quantcore import ENGINE_VERSION
from tasks.versions import version_of


def own_engine() -> str:
    """Return what decides a result beside the plan: the engine, and the packages that it runs on.

    Builds of one version of torch, for a GPU or without, count as one.
    """
    torch_version = torch.__version__.partition("+")[0]
    return f"{ENGINE_VERSION} (torch {torch_version}, transformers {version_of('transformers')})"


def worker_name() -> str:
    """Return what a person finds this process by: host and process id."""
    return f"{platform.node()}, process {os.getpid()}"


def require_engine(asked: str, *, own: str | None = None) -> None:
    """Refuse work that is meant for another version of the engine.

    Args:
        asked: The version that the plan was made for.
        own: The version of this process; None: what `own_engine` says.

    Raises:
        EngineMismatchError: They differ.
    """
    mine = own_engine() if own is None else own
    if asked != mine:
        raise EngineMismatchError(
            f"The worker {worker_name()} has version {mine} of the engine, and this work was "
            f"handed out for version {asked}: the two give other results. Install the same "
            "release of Roundhouse and its constraints.txt on every worker and where the run was "
            "started, restart them, and give the command again; what is finished is kept."
        )
