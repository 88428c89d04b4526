"""Who carries out a piece of work: this process, if its engine is the one that is meant.

Two versions of the engine give other codes, as two versions of torch may, and a release must not be
a patchwork of both.
"""

import os
import platform
from typing import TypeVar

from infra.errors import EngineMismatchError
from tasks.specs import WorkPlan
from tasks.versions import own_engine

P = TypeVar("P", bound=WorkPlan)


def taken(plan: P) -> P:
    """Return a plan as this process carries it out, in the workspace of its machine.

    Raises:
        EngineMismatchError: It is meant for another version of the engine.
    """
    require_engine(plan.engine)
    return plan.model_copy(update={"place": plan.place.here()})


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
