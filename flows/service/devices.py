"""Which devices of this machine get a worker, and what each worker sees of them."""

from typing import NamedTuple

import torch

from flows.errors import DeviceError
from flows.service.settings import ServiceSettings

VISIBLE = "CUDA_VISIBLE_DEVICES"


class Device(NamedTuple):
    """What one worker works on."""

    name: str
    visible: str  # of CUDA's devices; nothing: the CPU alone


def devices_of(settings: ServiceSettings, present: int) -> tuple[Device, ...]:
    """Return one device for each worker of the pool gpu.

    Args:
        settings: What is asked for.
        present: How many GPUs this machine has.

    Raises:
        DeviceError: A GPU is asked for that is not there, or is named twice.
    """
    if settings.devices == "cpu" or (settings.devices == "auto" and not present):
        return tuple(Device(f"cpu-{number}", "") for number in range(settings.cpu_workers))
    if settings.devices == "auto":
        return tuple(_gpu(number) for number in range(present))
    numbers = [int(number) for number in settings.devices.split(",")]
    if len(set(numbers)) < len(numbers):
        raise DeviceError(
            f"--devices {settings.devices} names a GPU twice: one worker uses one GPU alone."
        )
    if absent := [number for number in numbers if number >= present]:
        have = f"it has {present}, numbered from 0" if present else "it has none"
        raise DeviceError(
            f"--devices {settings.devices}: this machine has no GPU {absent[0]} that torch can "
            f"use; {have}. Give --devices auto or cpu, or see `roundhouse doctor`."
        )
    return tuple(_gpu(number) for number in numbers)


def count_gpus() -> int:
    """Return how many GPUs torch can use here."""
    return torch.cuda.device_count()


def _gpu(number: int) -> Device:
    return Device(f"gpu-{number}", str(number))
