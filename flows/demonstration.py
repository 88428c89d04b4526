"""The demo: a recipe with all its places in one folder, and the data that it names."""

from collections.abc import Sequence
from pathlib import Path

from flows import recipefile
from flows.recipe import Recipe
from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.demo.datasets import write_conversation_set, write_mixed_text_set, write_text_set
from infra.files import explaining, write_atomically

NAME = "demo"
ROWS, HELD_OUT_ROWS = 256, 64
QUESTIONS = BenchmarkSizes(circular_groups=100, science=300, reading=200, presence=400)
CALIBRATION_SEED, HELD_OUT_SEED = 1001, 2002  # far from the seeds of the training
COMPLETE = "complete"


def folder_of(workspace: Path) -> Path:
    """Return where a workspace's demo is."""
    return workspace.absolute() / "demo"


def demo_recipe(workspace: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Return the demo's recipe, all in the workspace.

    Raises:
        RecipeError: An override is wrong.
    """
    return recipefile.load(NAME, (*_places(folder_of(workspace)), *overrides))


def ensure_data(workspace: Path) -> None:
    """Write the demo's data unless they are there, whole.

    Raises:
        StorageError: They cannot be written.
    """
    folder = folder_of(workspace) / "data"
    if not (folder / COMPLETE).exists():
        write_data(folder)
        write_atomically(folder / COMPLETE, b"")


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
