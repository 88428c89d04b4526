"""Workers that cannot do what is asked of them: refused by name, and nothing half done is used."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import FlowRun

import quantcore
from tests.support.campaign import DEPLOYMENT, Outcome, export_sums, placed
from tests.support.cluster import GPU_WORKERS, ROOT, Cluster
from tests.support.databases import program
from tests.support.supervised import Part, wait_until

ROOM_BYTES = 256 << 10  # for any one file: less than the states of all samples


def test_another_engine_is_refused_by_name(
    cluster: Cluster, recipe: dict[str, Any], tmp_path: Path
) -> None:
    """A release must not be a patchwork of what two versions compute."""
    other = tmp_path / "other"
    write_engine(other, "2")
    worker = cluster.worker("gpu-other", PYTHONPATH=f"{other}:{ROOT}")

    with only_worker(cluster, worker):
        run = ended(cluster, placed(recipe, cluster, "other-engine"), "other-engine")

    assert run.state is not None
    assert run.state_name == "Failed"
    told = run.state.message or ""
    assert "has version 2 (torch" in told
    assert f"handed out for version {quantcore.ENGINE_VERSION} (torch" in told


def test_a_full_disk_is_told_and_room_mends_it(
    cluster: Cluster, recipe: dict[str, Any], undisturbed: Outcome
) -> None:
    """The run fails with the worker's file that found no room, and with what to do about it.

    The same command completes it later.
    """
    mine = placed(recipe, cluster, "full-disk")
    worker = cluster.worker("gpu-full")
    limited = [program("prlimit"), f"--fsize={ROOM_BYTES}", *worker.command]

    with only_worker(cluster, worker._replace(command=limited)):
        run = ended(cluster, mine, "full-disk")

    assert run.state is not None
    assert run.state_name == "Failed"
    told = run.state.message or ""
    assert "failed on its worker: DiskFullError: No room while writing" in told
    assert f"{cluster.workspace_of('gpu-full')}/store/scratch" in told
    assert "Free space there" in told
    assert "what was finished before is kept" in told
    assert ended(cluster, mine, "full-disk").state_name == "Completed"
    assert export_sums(cluster.folder / "exports" / "full-disk") == undisturbed.sums


@contextmanager
def only_worker(cluster: Cluster, worker: Part) -> Iterator[None]:
    """Let one worker do the work of all the others."""
    for name in GPU_WORKERS:
        cluster.supervisor.stop(name)
    cluster.supervisor.start(worker)
    try:
        yield
    finally:
        cluster.supervisor.stop(worker.name)
        cluster.supervisor.start(*(cluster.worker(name) for name in GPU_WORKERS))


def ended(cluster: Cluster, recipe: dict[str, Any], name: str) -> FlowRun:
    """Give a command, and return its run when that has ended."""
    parameters = {"recipe": recipe, "workspace": str(cluster.workspace_of("cpu"))}
    run = cluster.submit(DEPLOYMENT, parameters, name)

    def over() -> bool:
        state = cluster.run(run.id).state
        return state is not None and state.is_final()

    wait_until(over, f"the end of {name}", lambda: cluster.supervisor.log_of("cpu"))
    return cluster.run(run.id)


def write_engine(folder: Path, version: str) -> None:
    """Write a copy of the engine that says it is another version."""
    shutil.copytree(Path(quantcore.__file__).parent, folder / "quantcore")
    page = folder / "quantcore" / "__init__.py"
    own = f'ENGINE_VERSION = "{quantcore.ENGINE_VERSION}"'
    text = page.read_text(encoding="utf-8")
    assert own in text
    page.write_text(text.replace(own, f'ENGINE_VERSION = "{version}"'), encoding="utf-8")
