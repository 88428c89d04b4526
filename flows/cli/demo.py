"""`roundhouse demo`: the whole pipeline on the small trained model that Roundhouse carries."""

import hashlib
import shutil
from collections.abc import Sequence

from rich.console import Console

from flows.cli import execute
from flows.cli.exits import Exit
from flows.cli.session import Session
from flows.demonstration import demo_recipe, folder_of, write_data
from flows.results import RunResult
from infra.demo import MODEL_DIR
from infra.files import explaining
from infra.store import open_store

FROM_A_FOLDER = """\
Load one (auto_round: pip install auto-round; auto_gptq: pip install optimum gptqmodel):

    from transformers import AutoProcessor, Qwen2VLForConditionalGeneration
    folder = "{folder}"
    model = Qwen2VLForConditionalGeneration.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
"""
FROM_THE_HUB = """\
Load it (auto_round: pip install auto-round; auto_gptq: pip install optimum gptqmodel):

    export HF_ENDPOINT={published.endpoint}

    from transformers import AutoProcessor, Qwen2VLForConditionalGeneration
    pinned = {{"revision": "{published.version}"}}  # auto_gptq: "{published.gptq.short}"
    model = Qwen2VLForConditionalGeneration.from_pretrained("{published.repo_id}", **pinned)
    processor = AutoProcessor.from_pretrained("{published.repo_id}", **pinned)

The card: {published.endpoint}/{published.repo_id}/resolve/{published.version}/README.md
"""


def run(session: Session, overrides: Sequence[str], *, fresh: bool) -> Exit:
    """Write the data, run the recipe, and show what came of it.

    Raises:
        FlowError: An override is wrong, or the server or the verification refuses.
        InfraError: The disk refuses.
    """
    folder = folder_of(session.workspace)
    if fresh and folder.exists():
        with explaining(folder, "removing"):
            shutil.rmtree(folder)
    recipe = demo_recipe(session.workspace, (*_version(overrides), *overrides))
    write_data(folder / "data")
    result = execute.execute(recipe, session)
    execute.show(recipe, result, open_store(recipe.at(session.workspace)))
    console = Console(soft_wrap=True, highlight=False)
    size = (MODEL_DIR / "model.safetensors").stat().st_size
    console.print(f"The 16-bit weights take {size / (1 << 20):.1f} MiB.\n", markup=False)
    console.print(how_to_load(result), markup=False)
    return execute.exit_of(result)


def how_to_load(result: RunResult) -> str:
    """Return what a person types next: from the Hub, or from the folder if it was not published."""
    if result.published is not None:
        return FROM_THE_HUB.format(published=result.published)
    return FROM_A_FOLDER.format(folder=next(iter(result.chosen.export.folders.values())))


def _version(overrides: Sequence[str]) -> tuple[str, ...]:
    """Return the override that gives a changed demo a version of its own: tags never move."""
    if not overrides:
        return ()
    digest = hashlib.sha256("\n".join(overrides).encode()).hexdigest()
    return (f"publish.tag=v1.0.0+{digest[:8]}",)
