"""Quantize a checkpoint of the 7B shape with the real command, and watch its memory and seconds.

    python benchmarks/make_7b.py /data/qwen2-vl-7b-random
    python -m benchmarks.memory_7b /data/qwen2-vl-7b-random --work /data/work

Runs `roundhouse quantize` twice, rounding to nearest and one iteration of SignRound, each as a
process of its own.  Memory is the peak resident size of that process as the kernel counts it; steps
are told apart by the lines that the command prints.  The second run gets at most 2 samples of 64
tokens: it shows what has to fit, not how well it quantizes.
"""

import argparse
import datetime as dt
import itertools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from infra.checkpoints import inspect
from infra.demo.datasets import write_text_set
from infra.models.tensors import TensorIndex

ROOT = Path(__file__).resolve().parent.parent
GIB, GB = 2**30, 1e9
LIMIT_GIB = 6.0
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
STEPS = (  # what the command prints when a step begins
    ("start", ""),
    ("open and check", "Prefect server"),
    ("calibrate", ": drawing samples"),
    ("quantize", ": rounding to nearest"),
    ("export", ": exporting to"),
    ("verify", ": verifying the export"),
    ("done", "verified"),
)


class Step(NamedTuple):
    """One step of the command, and what it moves over the disk or through memory."""

    name: str
    seconds: float
    bytes: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command."""

    title: str
    command: str
    peak_gib: float
    seconds: float
    steps: tuple[Step, ...]
    sound: tuple[str, ...]


def watch(command: Sequence[str]) -> tuple[list[tuple[float, str]], float, float]:
    """Run a command; return its lines with the second each came in, its peak GiB and seconds."""
    started = time.perf_counter()
    lines: list[tuple[float, str]] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as p:
        assert p.stdout is not None
        for line in p.stdout:
            lines.append((time.perf_counter() - started, line.rstrip()))
            print(f"{lines[-1][0]:7.1f} s  {lines[-1][1]}", flush=True)
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {p.returncode}")
    return lines, usage.ru_maxrss * 1024 / GIB, time.perf_counter() - started


def begins(lines: Sequence[tuple[float, str]], *, learned: bool) -> dict[str, float]:
    """Return the second at which each step began."""
    found: dict[str, float] = {"start": 0.0}
    for second, line in lines:
        for name, sign in STEPS[1:]:
            if sign in line and name not in found:
                found[name] = second
    if learned:  # samples are drawn in moments; the first block's line would be too late
        found["quantize"] = found.pop("calibrate")
    return found


def measure(title: str, model: Path, work: Path, flags: Sequence[str]) -> Run:
    """Run the command once, and look at what it left."""
    out = work / "out"
    command = [
        *(str(ROOT / ".venv" / "bin" / "roundhouse"), "quantize", "--model", str(model), *flags),
        *("--output-dir", str(out), "--workspace", str(work / "workspace"), "--no-keep-server"),
    ]
    lines, peak, seconds = watch(command)
    at = begins(lines, learned="--calibration" in flags)
    moved = volumes(model, out)
    names = [name for name, _ in STEPS if name in at]
    steps = tuple(
        Step(name, at[after] - at[name], *moved.get(name, (None, "")))
        for name, after in itertools.pairwise(names)
        if name != "start"
    )
    sound = tuple(
        f"{folder.name}: {look.quantized_modules} layers, "
        + ("sound, digests agree" if look.sound and look.digests_agree else "NOT SOUND")
        for folder in sorted(out.iterdir())
        for look in [inspect(folder, check_digests=True)]
    )
    shown = " ".join(["roundhouse quantize --model DIR", *map(_portable, flags)])
    shutil.rmtree(work)
    return Run(title, shown, peak, seconds, steps, sound)


def volumes(model: Path, out: Path) -> dict[str, tuple[int, str]]:
    """Return what each step must read or write at least, in bytes, and in words."""
    index = TensorIndex.open(model)
    linears = [
        name
        for name in index.names
        if name.startswith("model.") and name.endswith(tuple(f".{each}.weight" for each in LINEARS))
    ]
    weights = sum(2 * index.shape(name)[0] * index.shape(name)[1] for name in linears)
    files = {f.stat().st_ino: f.stat().st_size for f in out.rglob("*.safetensors")}
    written = sum(files.values())
    whole = sum(f.stat().st_size for f in model.glob("*.safetensors"))
    return {
        "open and check": (whole, "all weights read once, for the digest"),
        "quantize": (weights, "16-bit weights of the quantized layers, read and rounded"),
        "export": (written, "written, both formats"),
        "verify": (2 * written, "exports read for digests and again for codes, formats shared"),
    }


def page(runs: Sequence[Run], model: Path, hardware: str, date: str) -> str:
    """Write the report."""
    size = sum(f.stat().st_size for f in model.glob("*.safetensors"))
    shards = len(list(model.glob("*.safetensors")))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    setting = (
        f"A random checkpoint with the names and shapes of Qwen2-VL-7B ({size / GB:.1f} GB in "
        f"{shards} shards, `benchmarks/make_7b.py`) through the real command, on "
        f"{os.cpu_count()} cores and {memory:.0f} GiB; torch {torch.__version__}, float32 on the "
        "CPU, the machine was not idle.  Peak memory is the resident size of the command's process "
        f"as the kernel counts it; the limit it is held against is {LIMIT_GIB:.0f} GiB."
    )
    lines = [
        f"# Memory of the 7B shape, {hardware}, {date}",
        "",
        setting,
        "",
        "    python benchmarks/make_7b.py DIR && python -m benchmarks.memory_7b DIR",
    ]
    for run in runs:
        verdict = "below" if run.peak_gib < LIMIT_GIB else "ABOVE"
        lines += ["", f"## {run.title}", "", f"    {run.command}", ""]
        lines += [
            f"Peak {run.peak_gib:.2f} GiB ({verdict} {LIMIT_GIB:.0f}); {run.seconds:.0f} s.",
            "",
            "| step | seconds | GB | GB/s | what |",
            "| --- | --- | --- | --- | --- |",
            *map(_row, run.steps),
            "",
            *(f"- {line}" for line in run.sound),
        ]
    return "\n".join(lines) + "\n"


def _row(step: Step) -> str:
    if step.bytes is None:
        return f"| {step.name} | {step.seconds:.0f} | | | {step.what} |"
    size = step.bytes / GB
    return (
        f"| {step.name} | {step.seconds:.0f} | {size:.1f} | {size / step.seconds:.2f} "
        f"| {step.what} |"
    )


def _portable(word: str) -> str:
    return Path(word).name if word.startswith("/") else word


def main() -> None:
    """Run both, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "memory-7b")
    parser.add_argument("--only", choices=("nearest", "learned"), help="one of the two runs")
    parser.add_argument("--hardware", default=f"{os.cpu_count()}-core-cpu")
    parser.add_argument("--date", default=dt.datetime.now(dt.UTC).date().isoformat())
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        text = write_text_set(Path(data) / "text.jsonl", count=16, seed=5)
        learned = ["--calibration", str(text), "--iters", "1", "--nsamples", "2", "--seqlen", "64"]
        wanted = {
            "nearest": ("Round to nearest", ["--iters", "0"]),
            "learned": ("One iteration of SignRound", learned),
        }
        runs = [
            measure(title, asked.model, asked.work, flags)
            for name, (title, flags) in wanted.items()
            if asked.only in (None, name)
        ]
    report = page(runs, asked.model, asked.hardware, asked.date)
    path = asked.out / f"memory-7b_{asked.hardware}_{asked.date}.md"
    path.write_text(report, encoding="utf-8")
    print(report)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    print(f"(this script itself: {peak:.2f} GiB)", file=sys.stderr)


if __name__ == "__main__":
    main()
