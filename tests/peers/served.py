"""A release of the demo model on a Hub on loopback, for the clients of `.venv-peers` to read.

    .venv/bin/python -m tests.peers.served FOLDER

Runs with the project's own packages: serves a Hub over FOLDER/hub, lets `roundhouse run` make and
publish a small release there, prints where it is as one line of JSON, and serves until its input
ends.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.demo.datasets import write_text_set
from infra.local_hub.access import issue_token
from infra.local_hub.serving import serving
from infra.local_hub.settings import HubSettings

OWNER, NAME, VERSION = "acme", "served", "v1.0.0"
REPOSITORY = f"{OWNER}/demo-int4"
DATA = "data"  # the folder of all that the recipe reads
LET_THROUGH = {
    "average_margin": 100, "task_drop": 100, "unreadable": 100, "capped": 100, "yes_share": 100,
    "flips": 100, "clusters": 1,
}  # fmt: skip


def write_recipe(folder: Path) -> Path:
    """Write a recipe of the demo model that takes a minute, and the data that it names."""
    data = folder / DATA
    data.mkdir()
    write_text_set(data / "texts.jsonl", count=32, seed=11)
    write_text_set(data / "held_out.jsonl", count=32, seed=12)
    write_benchmarks(data / "tables", seed=5, sizes=BenchmarkSizes(2, 10, 10, 10))
    text = {"kind": "text", "nsamples": 16, "seqlen": 128, "seed": 1}
    recipe = {
        "name": NAME,
        "model": {"source": "packaged:demo"},
        "calibration": [text | {"name": "texts", "source": "data/texts.jsonl"}],
        "quantization": {"iters": 20, "batch_size": 4},
        "export": {"output_dir": "checkpoints"},
        "compute": {"device": "cpu"},
        "evaluation": {"text": text | {"name": "held-out", "source": "data/held_out.jsonl"}},
        "benchmarks": {
            "names": ["MMBench_DEV_EN_V11", "ScienceQA_VAL", "TextVQA_VAL", "POPE"],
            "source": "data/tables",
            "fidelity_prompts": 0,  # the gate then looks at text, on which so little learning shows
            "max_new_tokens": 16,
        },
        "gate": LET_THROUGH,
        "publish": {"repo_id": REPOSITORY, "private": False, "tag": VERSION},
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def main(folder: Path) -> None:
    """Publish a release, say where, and serve it."""
    settings = HubSettings(root=folder / "hub")
    token = issue_token(settings.root, OWNER)
    recipe = write_recipe(folder)
    with serving(settings) as hub:
        subprocess.run(
            [Path(sys.executable).with_name("roundhouse"), "run", recipe, "--no-keep-server"],
            env=os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": token},
            cwd=folder,
            stdout=sys.stderr,
            check=True,
        )
        told = {"endpoint": hub.endpoint, "repo_id": REPOSITORY, "data": str(folder / DATA)}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
