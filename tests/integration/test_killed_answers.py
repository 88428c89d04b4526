"""Whoever is killed in the middle of an evaluation, the answers are those of an undisturbed one."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.evaluation.predictions import SUFFIX
from tests.support.campaign import Outcome
from tests.support.cluster import BUCKET, GPU_WORKERS, Cluster
from tests.support.evidence import answers_in
from tests.support.kills import Target, runs_on, strike
from tests.support.supervised import wait_until

DEPLOYMENT = "evaluate/on-demand"
BENCHMARKS = ("MMBench_DEV_EN_V11", "ScienceQA_VAL")
SIZES = BenchmarkSizes(circular_groups=60, science=240, reading=1, presence=4)
KILLS = 3
GIVEN_BYTES = 4 << 10  # of answers between two kills, so that each comes in the middle of some


class Evaluated(NamedTuple):
    """What came of an evaluation."""

    answers: frozenset[tuple[str, str]]  # benchmark, and the digest of one model's answers to it
    killed: tuple[str, ...]  # runs, by the names on their pages


@pytest.fixture(scope="module")
def request_of_all(
    cluster: Cluster, undisturbed: Outcome, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return what is asked for: an export of the demo model, beside its 16-bit model."""
    assert undisturbed.sums
    tables = tmp_path_factory.mktemp("tables")
    write_benchmarks(tables, seed=7, sizes=SIZES)
    (config,) = (cluster.folder / "exports" / "run-0").glob("auto_round*/**/config.json")
    return {
        "baseline": {"source": "packaged:demo"},
        "checkpoints": [{"name": "int4", "location": {"source": str(config.parent)}}],
        "asked": {
            "names": BENCHMARKS, "source": str(tables), "max_new_tokens": 16, "fidelity_prompts": 0,
        },
        "compute": {"threads": 1},
        "workers": {"pool": "gpu", "resubmits": 6},
    }  # fmt: skip


def test_answers_are_those_of_an_undisturbed_evaluation(
    cluster: Cluster, request_of_all: dict[str, Any]
) -> None:
    """Byte by byte; the parent hands out again what was lost, and nobody gives a command twice."""
    undisturbed = evaluated(cluster, request_of_all, "answers-0", kills=0)
    disturbed = evaluated(cluster, request_of_all, "answers-1", kills=KILLS)

    assert len(undisturbed.answers) == 2 * len(BENCHMARKS)
    assert disturbed.answers == undisturbed.answers
    assert len(disturbed.killed) == KILLS


def evaluated(cluster: Cluster, asked: dict[str, Any], name: str, *, kills: int) -> Evaluated:
    """Carry out an evaluation in a store of this name, and kill who answers meanwhile."""
    store = {"uri": f"s3://{BUCKET}/{name}", "endpoint": cluster.endpoint}
    parameters = {
        "request": asked | {"name": name, "store": store},
        "workspace": str(cluster.workspace_of("cpu")),
    }
    for worker in GPU_WORKERS:  # no machine remembers an answer
        for log in logs(cluster, worker):
            log.unlink()
    given = dict.fromkeys(GPU_WORKERS, 0)
    run = cluster.submit(DEPLOYMENT, parameters, name)
    killed = tuple(kill_one(cluster, given) for _ in range(kills))
    wait_until(
        lambda: cluster.run(run.id).state_name == "Completed",
        f"{name} to complete",
        lambda: cluster.supervisor.log_of("cpu"),
    )
    return Evaluated(answers_in(cluster.journal, f"{BUCKET}/{name}"), killed)


def kill_one(cluster: Cluster, given: dict[str, int]) -> str:
    """Kill the next run that has given some answers, and return its name."""
    chosen: list[Target] = []

    def comes() -> bool:
        for worker, before in given.items():
            if answered(cluster, worker) >= before + GIVEN_BYTES:
                chosen.extend(runs_on(cluster, [worker]))
        return bool(chosen)

    wait_until(comes, "a run in the middle of its answers", poll=0.05)
    strike(chosen[0])
    given.update((worker, answered(cluster, worker)) for worker in GPU_WORKERS)
    return chosen[0].name


def answered(cluster: Cluster, worker: str) -> int:
    """Return how many bytes of answers are on the disk of a worker's machine."""
    return sum(log.stat().st_size for log in logs(cluster, worker))


def logs(cluster: Cluster, worker: str) -> list[Path]:
    """Return the files in which a worker's machine keeps answers as they are given."""
    return list(cluster.workspace_of(worker).glob(f"**/answers/*/*{SUFFIX}"))
