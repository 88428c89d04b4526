"""A worker that joins a service takes its share of a machine, and no more."""

import pytest

from flows.cli.upflags import Pool
from flows.errors import DeviceError, RecipeError
from flows.service.devices import VISIBLE, Device, gpu_names
from flows.service.joining import device_of, named, worker_on
from flows.service.workers import GPU_THREADS, PARENTS, THREADS, WORKERS, Client, own_environment

GPUS = ("0", "1", "2", "3")
CLIENT = Client("http://127.0.0.1:4200/api", {})


def test_it_works_on_one_gpu_with_its_share_of_the_cores(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Else the workers of a machine would wait for one another."""
    worker = worker_on("tycho", device_of("2", GPUS), GPUS, cores=16)
    alone = worker_on("tycho", device_of("auto", GPUS[:1]), GPUS[:1], cores=64)
    told = own_environment(worker, tmp_path_factory.mktemp("workspace"), CLIENT)

    assert (worker.name, worker.pool) == ("tycho-gpu-2", WORKERS)
    assert (told[VISIBLE], told[THREADS]) == ("2", "4")
    assert worker.command[-2:] == ["--limit", "1"]
    assert alone.threads == GPU_THREADS


def test_without_a_gpu_it_works_on_the_cpu() -> None:
    """With all cores, as nothing says how many workers there are."""
    worker = worker_on("tycho", device_of("auto", ()), (), cores=16)

    assert worker == ("tycho-cpu-0", WORKERS, Device("cpu-0", ""), None)


def test_a_worker_of_parents_sees_no_gpu(tmp_path_factory: pytest.TempPathFactory) -> None:
    """And takes as many runs as there are, which wait most of the time."""
    worker = worker_on("tycho", None, GPUS, cores=16)
    told = own_environment(worker, tmp_path_factory.mktemp("workspace"), CLIENT)

    assert (worker.name, worker.pool, told[VISIBLE]) == ("tycho-parents", PARENTS, "")
    assert "--limit" not in worker.command


@pytest.mark.parametrize("name", ["", "rack/7", "100%"])
def test_a_name_that_prefect_cannot_have_is_refused(name: str) -> None:
    """At the door, and not by the process that the command becomes."""
    worker = worker_on("tycho", None, (), cores=2)

    assert named(worker, "rack-7").name == "rack-7"
    with pytest.raises(RecipeError, match="--name"):
        named(worker, name)


@pytest.mark.parametrize("asked", ["auto", "0,1"])
def test_several_gpus_are_several_workers(asked: str) -> None:
    """Which one is meant must be said."""
    with pytest.raises(DeviceError, match=r"one worker for each: --device 0, --device 1"):
        device_of(asked, GPUS)


@pytest.mark.parametrize(
    ("count", "visible", "names"),
    [
        (2, "", ("0", "1")),
        (2, "4,GPU-8932f937", ("4", "GPU-8932f937")),
        (1, "4, 9", ("4",)),
        (0, "4", ()),
    ],
)
def test_gpus_are_those_that_the_environment_leaves_us(
    count: int, visible: str, names: tuple[str, ...]
) -> None:
    """By the names that it has for them; how many of these are there, CUDA says."""
    assert gpu_names(count, visible) == names


def test_the_flag_knows_the_pools_of_the_service() -> None:
    """By the names that the service registers."""
    assert {pool.value for pool in Pool} == {PARENTS, WORKERS}
