"""The grown-up service, for tests that kill parts of it; started once."""

import random
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from infra.demo.datasets import write_text_set
from tests.support import table
from tests.support.campaign import Campaign, Outcome, placed
from tests.support.cluster import GPU_WORKERS, Cluster, running_cluster

UNDISTURBED = "run-0"
BEGAN = pytest.StashKey[float]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note when the tests began: what was kept before is not theirs."""
    session.config.stash[BEGAN] = time.time()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Tell what was killed, and what came of it, whichever process did it."""
    text = table.kept(config.stash.get(BEGAN, float("inf")))
    if text is not None:
        terminalreporter.write_line(f"\n{text}")


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the demo model's recipe in three segments, which takes seconds a block."""
    folder = tmp_path_factory.mktemp("data")
    write_text_set(folder / "texts.jsonl", count=64, seed=11)
    return {
        "name": "cluster",
        "model": {"source": "packaged:demo"},
        "calibration": [
            {
                "name": "texts", "kind": "text", "source": str(folder / "texts.jsonl"),
                "nsamples": 32, "seqlen": 128, "seed": 1,
            }
        ],
        "quantization": {"iters": 30, "batch_size": 8, "segments": 3},
        "export": {"output_dir": str(folder / "checkpoints")},
        "compute": {"threads": 1},
        "workers": {"pool": "gpu", "resubmits": 6},
    }  # fmt: skip


@pytest.fixture(scope="session")
def cluster(recipe: dict[str, Any]) -> Iterator[Cluster]:
    """Return the service, with one worker for parents and two for segments."""
    with running_cluster() as running:
        path = running.folder / "recipe.yaml"
        served = placed(recipe, running, UNDISTURBED)
        path.write_text(yaml.safe_dump(served, sort_keys=False), encoding="utf-8")
        running.register(path)
        running.supervisor.start(
            running.worker("cpu", "cpu"), *(running.worker(name) for name in GPU_WORKERS)
        )
        yield running


@pytest.fixture(scope="session")
def undisturbed(cluster: Cluster, recipe: dict[str, Any]) -> Outcome:
    """Return what comes of a run that nobody disturbs."""
    return Campaign(cluster, recipe, deque(), random.Random(0)).run(UNDISTURBED, 0)
