"""`roundhouse demo`: the whole pipeline on the small trained model that Roundhouse carries."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from flows import recipefile
from flows.cli import execute
from flows.cli.exits import Exit
from flows.cli.session import Session
from flows.results import RunResult
from infra.demo import MODEL_DIR
from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.demo.datasets import write_conversation_set, write_mixed_text_set, write_text_set
from infra.files import explaining
from infra.store import open_store

ROWS, HELD_OUT_ROWS = 256, 64
QUESTIONS = BenchmarkSizes(circular_groups=100, science=300, reading=200, presence=400)
CALIBRATION_SEED, HELD_OUT_SEED = 1001, 2002  # far from the seeds of the training

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
    folder = session.workspace.absolute() / "demo"
    if fresh and folder.exists():
        with explaining(folder, "removing"):
            shutil.rmtree(folder)
    recipe = recipefile.load("demo", (*_places(folder), *_version(overrides), *overrides))
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


def write_data(folder: Path) -> None:
    """Write the calibration sets, the held-out text and the benchmarks; the same bytes each time.

    Raises:
        StorageError: They cannot be written.
    """
    with explaining(folder, "writing"):
        folder.mkdir(parents=True, exist_ok=True)
        write_mixed_text_set(folder / "calibration.jsonl", count=ROWS, seed=CALIBRATION_SEED)
        write_text_set(folder / "held_out.jsonl", count=HELD_OUT_ROWS, seed=HELD_OUT_SEED)
        write_conversation_set(folder / "conversations", count=ROWS, seed=CALIBRATION_SEED)
        write_benchmarks(folder / "benchmarks", seed=HELD_OUT_SEED, sizes=QUESTIONS)


def _version(overrides: Sequence[str]) -> tuple[str, ...]:
    """Return the override that gives a changed demo a version of its own: tags never move."""
    if not overrides:
        return ()
    digest = hashlib.sha256("\n".join(overrides).encode()).hexdigest()
    return (f"publish.tag=v1.0.0+{digest[:8]}",)


def _places(folder: Path) -> tuple[str, ...]:
    """Return the overrides that put the demo into its workspace."""
    data = folder / "data"
    return (
        f"calibration.pile.source={data / 'calibration.jsonl'}",
        f"calibration.llava.source={data / 'conversations' / 'conversations.json'}",
        f"evaluation.text.source={data / 'held_out.jsonl'}",
        f"benchmarks.source={data / 'benchmarks'}",
        f"export.output_dir={folder / 'checkpoints'}",
    )
