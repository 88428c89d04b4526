"""A whole service on loopback: a Hub, a Prefect server, and the real commands in processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from huggingface_hub import CommitOperationAdd, HfApi, constants

from infra.demo import MODEL_DIR
from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.demo.datasets import write_text_set
from infra.local_hub.access import issue_token
from infra.local_hub.serving import serving
from infra.local_hub.settings import HubSettings

ROOT = Path(__file__).resolve().parents[2]
SOURCE, TARGET, STAGING = "acme/demo", "acme/demo-int4", "acme/staging"
ROUNDHOUSE = (sys.executable, "-c", "from flows.cli import main; main()")


class Service(NamedTuple):
    """What the tests of this folder share."""

    folder: Path
    endpoint: str
    api: HfApi
    environment: dict[str, str]
    recipe: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `roundhouse` to its end."""
        return subprocess.run(
            [*ROUNDHOUSE, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def tags(self, repo_id: str) -> dict[str, str]:
        """Return where a repository's tags are."""
        if not self.api.repo_exists(repo_id):
            return {}
        return {tag.name: tag.target_commit for tag in self.api.list_repo_refs(repo_id).tags}


@pytest.fixture(scope="session")
def service(prefect_api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service whose Hub holds the demo model as a 16-bit repository."""
    folder = tmp_path_factory.mktemp("service")
    settings = HubSettings(root=folder / "hub")
    token = issue_token(settings.root, "acme")
    with serving(settings) as hub, pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", False)  # loopback is all that tests can reach
        api = HfApi(endpoint=hub.endpoint, token=token)
        api.create_repo(SOURCE)
        files = [path for path in sorted(MODEL_DIR.iterdir()) if path.is_file()]
        api.create_commit(
            SOURCE,
            [CommitOperationAdd(path.name, str(path)) for path in files],
            commit_message="the 16-bit model",
        )
        environment = {
            **os.environ,
            "PREFECT_API_URL": prefect_api_url,
            "HF_ENDPOINT": hub.endpoint,
            "HF_TOKEN": token,
            "HF_HOME": str(folder / "hf"),
            "HF_HUB_OFFLINE": "0",
            "ROUNDHOUSE_WEBHOOK_SECRET": "of-these-tests",
            "ROUNDHOUSE_WORKSPACE": str(folder / "workspace"),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "160",
        }
        yield Service(folder, hub.endpoint, api, environment, write_recipe(folder))


def write_recipe(folder: Path) -> Path:
    """Write data and a recipe that takes a minute; its gate lets everything through."""
    write_text_set(folder / "texts.jsonl", count=64, seed=11)
    write_text_set(folder / "held_out.jsonl", count=32, seed=12)
    write_benchmarks(folder / "tables", seed=5, sizes=BenchmarkSizes(2, 4, 4, 4))
    recipe = {
        "name": "served",
        "model": {"source": SOURCE},
        "calibration": [
            {
                "name": "texts", "kind": "text", "source": "texts.jsonl",
                "nsamples": 32, "seqlen": 128, "seed": 1,
            }
        ],
        "quantization": {"iters": 30, "batch_size": 8},
        "export": {"output_dir": "checkpoints"},
        "benchmarks": {
            "names": ["MMBench_DEV_EN_V11", "ScienceQA_VAL", "TextVQA_VAL", "POPE"],
            "source": "tables",
            "fidelity_prompts": 0,
            "max_new_tokens": 8,
        },
        "evaluation": {
            "text": {
                "name": "held-out", "kind": "text", "source": "held_out.jsonl",
                "nsamples": 16, "seqlen": 128, "seed": 2,
            }
        },
        "gate": {
            "average_margin": 100, "task_drop": 100, "unreadable": 100, "capped": 100,
            "yes_share": 100, "flips": 100, "clusters": 1,
        },
        "publish": {"repo_id": TARGET, "private": False},
        "release": {"staging": STAGING},
    }  # fmt: skip
    path = folder / "served.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path
