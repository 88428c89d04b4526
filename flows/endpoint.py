"""Which Hub ``local`` is: the workspace's own, on loopback."""

from pathlib import Path

from flows import hub_server
from flows.recipe import Recipe

LOCAL = "local"
ENVIRONMENT = "environment"


def at_its_hub(recipe: Recipe, workspace: Path) -> Recipe:
    """Return ``recipe`` with the address of its Hub where it says ``local``.

    The workspace's Hub is started if it does not run.  Its owner's token is read from the file
    that it wrote, unless the recipe names another place.

    Args:
        recipe: What is asked for.
        workspace: Folder of this machine for the store, caches and servers.

    Raises:
        ServerError: The Hub does not start.
        StorageError: The workspace cannot be written.
    """
    publish = recipe.publish
    if publish is None or publish.endpoint != LOCAL:
        return recipe
    record, _ = hub_server.ensure(workspace)
    own = f"file:{hub_server.token_file(workspace)}"
    token = own if publish.token == ENVIRONMENT else publish.token
    settled = publish.model_copy(update={"endpoint": record.endpoint, "token": token})
    return recipe.model_copy(update={"publish": settled})
