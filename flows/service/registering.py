"""Tell a Prefect server that runs elsewhere of the pools, automations and deployments.

    python -m flows.service.registering [--schedule CRON] [RECIPE …]

Which server, and which folder the workers' machines use, is in PREFECT_API_URL and
ROUNDHOUSE_WORKSPACE.

`roundhouse up` does this for the server that it starts.  Where servers and workers are started by
compose or by systemd it is done once, and again after an upgrade.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings

from flows import demonstration, recipefile
from flows.errors import FlowError, ServerError
from flows.server import require_answer
from flows.service.automations import ensure_automations
from flows.service.deploying import register
from flows.service.pools import ensure_pools
from flows.service.recipes import serve_recipes
from flows.service.rendering import Told
from infra.environment import WORKSPACE
from infra.errors import InfraError


def main(arguments: Sequence[str]) -> int:
    """Register everything; 1 if the server or a recipe refuses."""
    parser = argparse.ArgumentParser(prog="python -m flows.service.registering")
    parser.add_argument("recipes", nargs="*")
    parser.add_argument("--schedule", help="cron expression, in UTC")
    asked = parser.parse_args(arguments)
    try:
        register_elsewhere(asked.recipes, asked.schedule, workspace_of(os.environ.get(WORKSPACE)))
    except (FlowError, InfraError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def register_elsewhere(recipes: Sequence[str], schedule: str | None, workspace: Path) -> None:
    """Register on the server that is configured.

    Args:
        recipes: Recipe files, or names of packaged recipes; none: the demo.
        schedule: Cron expression, in UTC; None: no schedule.
        workspace: Folder of the workers' machines.

    Raises:
        ServerError: None is configured, or it refuses.
        RecipeError: A recipe is not sound.
    """
    url = get_current_settings().api.url
    if url is None:
        raise ServerError("PREFECT_API_URL is not set: which server is to be told?")
    require_answer(url)
    served = serve_recipes([recipefile.absolute(name) for name in recipes], workspace)
    if not recipes:
        demonstration.ensure_data(workspace)
    with get_client(sync_client=True) as client:
        ensure_pools(client)
        ensure_automations(client)
        register(Told(served, workspace, schedule), client)


def workspace_of(given: str | None) -> Path:
    """Return the workspace that the environment names.

    Raises:
        ServerError: It names none.
    """
    if not given:
        raise ServerError(f"{WORKSPACE} is not set: which folder do the workers' machines use?")
    return Path(given).absolute()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
