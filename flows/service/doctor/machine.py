"""This machine: what is installed, its devices, its disk and its memory."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

import torch
from packaging.requirements import Requirement

from flows.service.backing import REDIS
from flows.service.doctor.finding import Finding, fail, ok, warn

DISTRIBUTION = "roundhouse"
TOLD = ("torch", "transformers", "prefect", "fastapi", "huggingface-hub")
REDIS_CLIENT = "prefect-redis"
NVIDIA = Path("/proc/driver/nvidia/version")
MEMINFO = Path("/proc/meminfo")
GIB = 1 << 30


class Enough(NamedTuple):
    """GiB below which there is too little of something, and below which it may be too little."""

    least: float
    comfortable: float


DISK = Enough(2, 50)
MEMORY = Enough(2, 16)


def versions() -> Iterator[Finding]:
    """Look whether what is installed is what Roundhouse needs.

    Among it is the pair of Prefect and FastAPI, of which some do not start a server.
    """
    wanted = [Requirement(line) for line in requires(DISTRIBUTION) or ()]
    wanted = [each for each in wanted if each.marker is None or each.marker.evaluate()]
    told = [f"Python {platform.python_version()}"]
    told += [f"{name} {found}" for name in TOLD if (found := installed(name)) is not None]
    problems = unmet(wanted, installed)
    if problems:
        yield fail(
            "versions",
            "; ".join(problems),
            "Install what was tested: pip install -c constraints.txt roundhouse",
        )
    else:
        yield ok("versions", ", ".join(told))
    if os.environ.get(REDIS) and installed(REDIS_CLIENT) is None:
        yield fail(
            "versions",
            f"{REDIS} is set, and {REDIS_CLIENT} is not installed",
            "pip install 'roundhouse[service]'",
        )


def installed(name: str) -> str | None:
    """Return the version of a distribution; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def unmet(
    wanted: Sequence[Requirement], version_of: Callable[[str], str | None]
) -> tuple[str, ...]:
    """Return in words which requirements are not met."""
    problems = []
    for each in wanted:
        found = version_of(each.name)
        if found is None:
            problems.append(f"{each.name} is not installed, and {each.specifier} is needed")
        elif not each.specifier.contains(found, prereleases=True):
            problems.append(f"{each.name} is {found}, and {each.specifier} is needed")
    return tuple(problems)


def devices() -> Iterator[Finding]:
    """Look which GPUs torch can use."""
    count = torch.cuda.device_count()
    if count:
        for number in range(count):
            found = torch.cuda.get_device_properties(number)
            yield ok("device", f"GPU {number}: {found.name}, {found.total_memory / GIB:.0f} GiB")
    elif NVIDIA.exists():
        yield fail(
            "device",
            f"this machine has an NVIDIA driver, and torch {torch.__version__} finds no GPU "
            f"(built for CUDA {torch.version.cuda})",
            "Install a torch that is built for the driver's CUDA, look whether "
            "CUDA_VISIBLE_DEVICES hides the GPUs, and whether `nvidia-smi` shows them.",
        )
    else:
        threads = torch.get_num_threads()
        yield ok("device", f"no GPU; the CPU with {threads} threads")


def disk(workspace: Path) -> Finding:
    """Look how much room the workspace has."""
    there = next(path for path in (workspace, *workspace.parents) if path.exists())
    free = shutil.disk_usage(there).free / GIB
    remedy = (
        "Free space there, or choose another --workspace: a model takes its own size for the "
        "download, and a quarter of it for each export."
    )
    return _enough("disk", f"{free:.1f} GiB free in {there}", free, DISK, remedy)


def memory() -> Finding:
    """Look how much memory is free."""
    if not MEMINFO.exists():
        return warn("memory", "this system does not tell", "Look yourself.")
    lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) / (1 << 20)
    remedy = "End what else runs, or lower compute.activation_gib and quantization.batch_size."
    return _enough("memory", f"{free:.1f} GiB available", free, MEMORY, remedy)


def _enough(name: str, seen: str, free: float, enough: Enough, remedy: str) -> Finding:
    if free < enough.least:
        return fail(name, seen, remedy)
    return warn(name, seen, remedy) if free < enough.comfortable else ok(name, seen)
