"""What a service was asked for is remembered, and which devices that means."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.errors import DeviceError
from flows.service.devices import Device, devices_of
from flows.service.settings import ServiceSettings, merged, read_settings, write_settings
from flows.service.workers import Client, own_environment, workers_on

CPU = Device("cpu-0", "")


def test_a_flag_that_is_left_out_keeps_its_value(tmp_path: Path) -> None:
    """So `up` alone mends what has died, and changes nothing."""
    first = merged(tmp_path, {"recipes": ("demo",), "port": 4300, "schedule": None})
    write_settings(tmp_path, first)
    second = merged(tmp_path, {"recipes": None, "port": None, "schedule": "0 2 * * 6"})

    assert (first.recipes, first.port, first.schedule) == (("demo",), 4300, None)
    assert second == first.model_copy(update={"schedule": "0 2 * * 6"})
    assert read_settings(tmp_path) == first


def test_what_is_not_readable_is_not_remembered(tmp_path: Path) -> None:
    """A damaged file is as good as none."""
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "asked.json").write_text("{")

    assert merged(tmp_path, {}) == ServiceSettings()


@pytest.mark.parametrize(
    ("devices", "gpus", "workers"),
    [
        ("auto", (), [CPU]),
        ("auto", ("0", "1"), [Device("gpu-0", "0"), Device("gpu-1", "1")]),
        ("cpu", ("0", "1"), [CPU]),
        ("1", ("0", "1"), [Device("gpu-1", "1")]),
        ("1", ("4", "GPU-8932f937"), [Device("gpu-1", "GPU-8932f937")]),
    ],
)
def test_each_device_gets_one_worker(
    devices: str, gpus: tuple[str, ...], workers: list[Device]
) -> None:
    """The CPU where there is no GPU; GPUs are counted among those that are ours."""
    assert list(devices_of(ServiceSettings(devices=devices), gpus)) == workers


def test_the_cpu_may_have_several_workers() -> None:
    """For a machine with many cores, and for tests of what happens between workers."""
    found = devices_of(ServiceSettings(devices="cpu", cpu_workers=2), ())

    assert [device.name for device in found] == ["cpu-0", "cpu-1"]


@pytest.mark.parametrize(
    ("devices", "told"),
    [("0,2", "no GPU 2 .* it has 2"), ("1,1", "names one twice")],
)
def test_a_gpu_that_is_not_there_is_refused(devices: str, told: str) -> None:
    """By its number, and with what is there."""
    with pytest.raises(DeviceError, match=told):
        devices_of(ServiceSettings(devices=devices), ("0", "1"))


def test_what_is_no_list_of_devices_is_refused() -> None:
    """Before anything is started."""
    with pytest.raises(ValidationError, match="devices"):
        ServiceSettings(devices="gpu")


def test_a_worker_sees_its_own_gpu_and_parents_see_none(tmp_path: Path) -> None:
    """A parent that took a GPU's memory would make a segment run out of it."""
    client = Client("http://here/api", {"PREFECT_API_AUTH_STRING": "word"})
    parents, *workers = workers_on((Device("gpu-0", "0"), Device("gpu-1", "1")), 2)
    told = [own_environment(worker, tmp_path, client) for worker in (parents, *workers)]

    assert [each["CUDA_VISIBLE_DEVICES"] for each in told] == ["", "0", "1"]
    assert {each["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] for each in told} == {"30"}
    assert {each["PREFECT_SERVER_EPHEMERAL_ENABLED"] for each in told} == {"false"}
    assert {each["PREFECT_API_AUTH_STRING"] for each in told} == {"word"}
    assert [worker.command[-2:] == ["--limit", "1"] for worker in (parents, *workers)] == [
        False, True, True
    ]  # fmt: skip
    assert [worker.pool for worker in (parents, *workers)] == ["cpu", "gpu", "gpu"]


@pytest.mark.parametrize(("cores", "threads"), [(16, "8"), (3, "1"), (1, "1")])
def test_workers_share_the_cores_of_their_machine(tmp_path: Path, cores: int, threads: str) -> None:
    """Each would take all of them by itself, and then they wait for one another."""
    client = Client("http://here/api", {})
    _, *workers = workers_on((Device("gpu-0", "0"), Device("gpu-1", "1")), cores)
    told = [own_environment(worker, tmp_path, client) for worker in workers]

    assert {each["OMP_NUM_THREADS"] for each in told} == {threads}
