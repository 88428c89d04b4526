"""What a schedule starts: the pipeline by each of its recipes, one after the other."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows import recipefile
from flows.errors import ScheduledRunsError
from flows.quantize import quantize_model
from tasks.progress import say


def run_name() -> str:
    """Return what a run is called where people read it: after its recipes."""
    given = flow_run.parameters["recipes"]
    return f"scheduled: {', '.join(Path(name).stem for name in given)}"


@flow(name="quantize", flow_run_name=run_name, persist_result=False)
def quantize_scheduled(recipes: tuple[str, ...], workspace: Path) -> None:
    """Carry out each recipe as a run of its own; one that fails does not keep the others waiting.

    Args:
        recipes: Recipe files, or names of packaged recipes.
        workspace: Folder of this machine for the store, caches and servers.

    Raises:
        RecipeError: A recipe is not sound; nothing is started then.
        ScheduledRunsError: Some of the runs failed; it comes at the end.
    """
    loaded = [recipefile.load(name) for name in recipes]
    failed: dict[str, str] = {}
    for recipe in loaded:
        say(f"{recipe.name}: the next of {len(loaded)} recipes")
        state: State[Any] = quantize_model(recipe, workspace, return_state=True)
        if not state.is_completed():
            failed[recipe.name] = f"{state.name}: {state.message or 'no reason was given'}"
    if failed:
        told = "; ".join(f"{name} ({why})" for name, why in failed.items())
        raise ScheduledRunsError(
            f"{len(failed)} of {len(loaded)} recipes failed: {told}. Their own runs tell more; the "
            "others were carried out, and the next run skips what is finished."
        )
