"""A whole service, started by its one command, and a browser that is logged in to its pages."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from flows import demonstration, server
from flows.recipe import Recipe
from flows.service.access import ensure_access
from flows.service.recipes import as_yaml
from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.demo.datasets import write_conversation_set, write_mixed_text_set, write_text_set
from tests.support.browser import browser
from tests.support.ui import Ui

ROOT = Path(__file__).resolve().parents[2]
ROUNDHOUSE = (sys.executable, "-c", "from flows.cli import main; main()")
SIZES = BenchmarkSizes(circular_groups=8, science=240, reading=240, presence=240)
SMALL = (
    "calibration.pile.nsamples=16",
    "calibration.pile.seqlen=64",
    "calibration.llava.nsamples=16",
    "calibration.llava.seqlen=96",
    "calibration.llava.min_length=8",
    "quantization.iters=60",
    "compute.threads=1",
    "evaluation.text.nsamples=8",
    "evaluation.text.seqlen=64",
    "benchmarks.fidelity_prompts=0",
    "gate.hold_minutes=10",
)
"""The demo, with so few questions of one benchmark that the gate is not sure: a person decides."""


class Service(NamedTuple):
    """What the tests of this folder look at."""

    workspace: Path
    address: str
    auth: str
    recipe: Recipe


def roundhouse(*arguments: str) -> None:
    """Run `roundhouse` in a process of its own, to a good end."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")},
        "HF_HUB_OFFLINE": "0",  # the workspace's Hub is asked; conftest.py refuses all others
        "PREFECT_WORKER_QUERY_SECONDS": "1",  # tests need not wait for a worker to look
        "PYTHONPATH": str(ROOT),
    }
    ended = subprocess.run(
        [*ROUNDHOUSE, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Start a service on a small demo, and stop it after the last test."""
    folder = tmp_path_factory.mktemp("browser")
    workspace, recipe_file = folder / "workspace", folder / "demo.yaml"
    recipe = demonstration.demo_recipe(workspace, SMALL)
    write_data(demonstration.folder_of(workspace) / "data")
    recipe_file.write_text(as_yaml(recipe))
    try:
        roundhouse(
            *("up", "--workspace", str(workspace), "--recipe", str(recipe_file)),
            *("--devices", "cpu", "--cpu-workers", "2", "--port", "0", "--webhook-port", "0"),
        )
        record = server.read_record(workspace)
        assert record is not None
        yield Service(workspace, record.ui_url, ensure_access(workspace).auth, recipe)
    finally:
        roundhouse("down", "--workspace", str(workspace))


def write_data(folder: Path) -> None:
    """Write the data that the demo's recipe names, as little as does."""
    write_mixed_text_set(folder / "calibration.jsonl", count=24, seed=1)
    write_text_set(folder / "held_out.jsonl", count=12, seed=2)
    write_conversation_set(folder / "conversations", count=24, seed=1)
    write_benchmarks(folder / "benchmarks", seed=2, sizes=SIZES)


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Return where screenshots go: `make screenshots` puts them into the documentation."""
    folder = Path(os.environ.get("ROUNDHOUSE_SCREENSHOTS", ROOT / "build" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def ui(service: Service, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """Return the pages of the service, in the browser of somebody who may see them."""
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        pages = Ui(page, service.address, pictures)
        pages.log_in(service.auth)
        yield pages
