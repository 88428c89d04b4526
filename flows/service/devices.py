"""Which devices of this machine get a worker, and what each worker sees of them."""

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple

import torch

from flows.errors import DeviceError
from flows.service.settings import ServiceSettings

VISIBLE = "CUDA_VISIBLE_DEVICES"


class Device(NamedTuple):
    """What one worker works on."""

    name: str
    visible: str  # of CUDA's devices; nothing: the CPU alone


def devices_of(settings: ServiceSettings, gpus: tuple[str, ...]) -> tuple[Device, ...]:
    """Return one device for each worker of the pool gpu.

    Args:
        settings: What is asked for.
        gpus: This machine's, as CUDA_VISIBLE_DEVICES names each.

    Raises:
        DeviceError: A GPU is asked for that is not there, or is named twice.
    """
    if settings.devices == "cpu" or (settings.devices == "auto" and not gpus):
        return tuple(Device(f"cpu-{number}", "") for number in range(settings.cpu_workers))
    if settings.devices == "auto":
        return tuple(_gpu(number, gpus) for number in range(len(gpus)))
    numbers = [int(number) for number in settings.devices.split(",")]
    if len(set(numbers)) < len(numbers):
        raise DeviceError(f"GPU {settings.devices} names one twice: one worker uses one GPU alone.")
    if absent := [number for number in numbers if number >= len(gpus)]:
        have = f"it has {len(gpus)}, numbered from 0" if gpus else "it has none"
        raise DeviceError(
            f"GPU {settings.devices} is asked for: this machine has no GPU {absent[0]} that torch "
            f"can use; {have}. Ask for auto or cpu, or see `roundhouse doctor`."
        )
    return tuple(_gpu(number, gpus) for number in numbers)


def gpus_here(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the GPUs that torch can use here, as CUDA_VISIBLE_DEVICES names each."""
    return gpu_names(torch.cuda.device_count(), environment.get(VISIBLE, ""))


def cores_here() -> int:
    """Return how many cores this process may use; a scheduler or a container may leave it few."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def gpu_names(count: int, visible: str) -> tuple[str, ...]:
    """Return how CUDA_VISIBLE_DEVICES names each of ``count`` GPUs.

    Where it is set, by the scheduler of a cluster say, only those are ours that it names, and the
    first of them is number 0.
    """
    given = [name.strip() for name in visible.split(",") if name.strip()]
    return tuple(given[:count]) if given else tuple(str(number) for number in range(count))


def _gpu(number: int, gpus: tuple[str, ...]) -> Device:
    return Device(f"gpu-{number}", gpus[number])
