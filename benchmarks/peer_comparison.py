"""Round-to-nearest, our SignRound and the peer's, on one model, side by side, in one run.

    python -m benchmarks.peer_comparison --seeds 3

All learn from the same calibration tokens, with the same number of threads, one after the other;
their checkpoints are measured by the same code on the same held-out samples (`measuring.py`).  The
peer runs in `.venv-peers` (`make test-peers` builds it).  Seconds are from opening the model to the
checkpoint on disk, without the start of Python.
"""

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from safetensors.torch import save_file

from benchmarks.measuring import Yardstick, paired, total
from infra.calibration.collect import collect
from infra.calibration.sample import CalibrationSet
from infra.calibration.sample import save as save_samples
from infra.calibration.spec import CalibrationSpec
from infra.demo import MODEL_DIR
from infra.demo.datasets import write_conversation_set, write_text_set
from infra.models.source import resolve
from infra.store import Place, StoreAddress, open_store
from quantcore.metrics import Fidelity
from tasks.engine import open_model
from tasks.export import export_checkpoint
from tasks.quantize import open_segment, quantize_block
from tasks.specs import (
    CalibrationRef,
    ComputeSpec,
    ExportSpec,
    QuantizationSpec,
    SegmentPlan,
)

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / ".venv-peers" / "bin" / "python"
HELD_OUT = 64
SEED_TEXT, SEED_HELD_OUT = 1, 2  # of the text generator, so that no story is in both


@dataclass(frozen=True, slots=True)
class Run:
    """One checkpoint: who made it, with which seed, in how long, and how good it is."""

    tool: str
    seed: int
    seconds: float
    fidelity: dict[str, tuple[Fidelity, ...]]  # held-out set to samples


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs share."""

    asked: argparse.Namespace
    work: Path
    calibration: CalibrationSet
    yardsticks: dict[str, Yardstick]

    def measured(self, export: Path) -> dict[str, tuple[Fidelity, ...]]:
        """Measure a checkpoint on every held-out set."""
        return {name: stick.measure(export) for name, stick in self.yardsticks.items()}


def prepare(asked: argparse.Namespace, work: Path) -> Bench:
    """Draw calibration and held-out samples, and run the 16-bit model over the latter."""
    text = write_text_set(work / "text.jsonl", count=2 * asked.nsamples, seed=SEED_TEXT)
    unseen = write_text_set(work / "unseen.jsonl", count=2 * HELD_OUT, seed=SEED_HELD_OUT)
    pictures = write_conversation_set(work / "pictures", count=2 * HELD_OUT, seed=SEED_HELD_OUT)

    def draw(name: str, kind: str, source: Path, count: int) -> CalibrationSet:
        spec = CalibrationSpec.model_validate(
            {"name": name, "kind": kind, "source": str(source), "nsamples": count}
            | {"seqlen": asked.seqlen, "seed": 0}
        )
        return collect(spec, asked.model)

    calibration = draw("text", "text", text, asked.nsamples)
    save_samples(calibration, work / "calibration.safetensors")
    tokens = torch.stack([sample.input_ids for sample in calibration.samples])
    save_file({"tokens": tokens}, work / "tokens.safetensors")
    held = {
        "text": draw("unseen-text", "text", unseen, HELD_OUT),
        "pictures": draw("unseen-pictures", "image_text", pictures, HELD_OUT),
    }
    sticks = {name: Yardstick.of(asked.model, drawn.samples) for name, drawn in held.items()}
    return Bench(asked, work, calibration, sticks)


def run_ours(bench: Bench, seed: int, iters: int) -> Run:
    """Quantize and export with our engine (0 iterations: round-to-nearest)."""
    tool = "SignRound (ours)" if iters else "round-to-nearest"
    folder = bench.work / f"ours-{iters}-{seed}"
    place = Place.of(folder, StoreAddress())
    sample_file = open_store(place).put_file(bench.work / "calibration.safetensors")
    started = time.perf_counter()
    source = resolve(str(bench.asked.model))
    blocks = open_model(source.path, ComputeSpec(device="cpu")).family.blocks
    learned = CalibrationRef(name="text", ref=sample_file, report={}) if iters else None
    plan = SegmentPlan(
        variant="text",
        source=source,
        calibration=learned,
        quantization=QuantizationSpec(iters=iters, seed=seed),
        compute=ComputeSpec(device="cpu", threads=bench.asked.threads),
        first_block=0,
        end_block=blocks,
        blocks=blocks,
        place=place,
    )
    with open_segment(plan) as segment:
        records = tuple(quantize_block.fn(segment, block) for block in range(blocks))
    export = ExportSpec(formats=("auto_round",), output_dir=folder / "export")
    result = export_checkpoint.fn(
        source, records, plan.quantization, export, {"variant": "text"}, place
    )
    seconds = time.perf_counter() - started
    return Run(tool, seed, seconds, bench.measured(result.folders["auto_round"]))


def run_peer(bench: Bench, seed: int, *, compiled: bool) -> tuple[Run, dict[str, Any]]:
    """Quantize and export with the peer in its own environment; also return what it told."""
    tool = "auto-round" + ("" if compiled else ", not compiled")
    out = bench.work / f"peer-{seed}-{compiled}"
    command = [
        *(str(PEER), str(ROOT / "benchmarks" / "peer_run.py")),
        *("--model", str(bench.asked.model), "--tokens", str(bench.work / "tokens.safetensors")),
        *("--out", str(out), "--iters", str(bench.asked.iters), "--seed", str(seed)),
        *("--threads", str(bench.asked.threads)),
        *([] if compiled else ["--no-compile"]),
    ]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    with (bench.work / f"{out.name}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, env=environment)
    told = json.loads((out / "peer.json").read_text(encoding="utf-8"))
    (config,) = out.rglob("quantization_config.json")
    return Run(tool, seed, told["seconds"], bench.measured(config.parent)), told


def all_runs(bench: Bench) -> Iterator[tuple[Run, dict[str, Any] | None]]:
    """Run every tool with every seed, in turns, so that a busy hour hits them alike."""
    yield run_ours(bench, seed=0, iters=0), None
    for seed in range(42, 42 + bench.asked.seeds):
        yield run_ours(bench, seed, bench.asked.iters), None
        yield run_peer(bench, seed, compiled=False)
    yield run_peer(bench, 42, compiled=True)


def rows(runs: Sequence[Run], held_out: str, reference: float) -> Iterator[str]:
    """Write the lines of one table."""
    yield "| | seeds | KL to 16 bit, mean (min to max) | perplexity | same top-1 | seconds |"
    yield "| --- | --- | --- | --- | --- | --- |"
    yield f"| 16 bit | | 0 | {reference:.4f} | 100 % | |"
    for tool in dict.fromkeys(run.tool for run in runs):
        mine = [run for run in runs if run.tool == tool]
        sums = [total(run.fidelity[held_out]) for run in mine]
        kl = [each.mean_kl for each in sums]
        yield (
            f"| {tool} | {len(mine)} | {mean(kl):.5f} ({min(kl):.5f} to {max(kl):.5f}) "
            f"| {mean(each.perplexity_candidate for each in sums):.4f} "
            f"| {mean(each.top1_agreement for each in sums):.2%} "
            f"| {median(run.seconds for run in mine):.1f} |"
        )


def verdicts(runs: Sequence[Run], held_out: str) -> Iterator[str]:
    """Say plainly who is ahead, on the same samples, and whether it can be told."""
    by_tool = {
        tool: [run.fidelity[held_out] for run in runs if run.tool == tool]
        for tool in dict.fromkeys(run.tool for run in runs)
    }
    ours = by_tool.pop("SignRound (ours)")
    for tool, theirs in by_tool.items():
        apart = paired(ours, theirs)
        told = "ahead" if apart.mean < 0 else "BEHIND"
        if abs(apart.mean) <= apart.half_width:
            told = "not to be told apart"
        yield f"- KL of ours minus {tool}: {apart} nats a token (95 %): {told}."


def report(bench: Bench, runs: Sequence[Run], peer: dict[str, Any]) -> str:
    """Write the page."""
    asked = bench.asked
    ours = {"roundhouse": version("roundhouse"), "torch": torch.__version__}
    setting = (
        f"W4, group size 128, symmetric; {asked.iters} iterations, batch size 8; "
        f"{asked.nsamples} text samples of {asked.seqlen} tokens, the same for all "
        f"(SHA-256 `{bench.calibration.report.samples_sha256[:16]}…`). "
        f"Held out: {HELD_OUT} texts and {HELD_OUT} conversations about pictures "
        "(their answers count), of other seeds. "
        f"All in float32 on {asked.threads} threads of {platform.machine()}, in one run."
    )
    command = (
        f"    python -m benchmarks.peer_comparison --name {asked.name} --iters {asked.iters} "
        f"--nsamples {asked.nsamples} --seqlen {asked.seqlen} --seeds {asked.seeds} "
        f"--threads {asked.threads}"
    )
    versions = f"Ours: {_listed(ours)}. Peer: {_listed(peer['versions'])}; its defaults otherwise."
    title = f"# {asked.name}: ours and the peer's, {asked.hardware}, {asked.date}"
    lines = [title, "", setting, "", versions, "", command]
    for name in bench.yardsticks:
        reference = total(runs[0].fidelity[name]).perplexity_reference
        lines += ["", f"## Held-out {name}", "", *rows(runs, name, reference)]
        lines += ["", *verdicts(runs, name)]
    return "\n".join(lines) + "\n"


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def main() -> None:
    """Run all tools and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--name", default="demo", help="what the page calls the model")
    parser.add_argument("--hardware", default=f"{os.cpu_count()}-core-cpu")
    parser.add_argument("--date", default=dt.datetime.now(dt.UTC).date().isoformat())
    parser.add_argument("--iters", type=int, default=200)
    parser.add_argument("--nsamples", type=int, default=128)
    parser.add_argument("--seqlen", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as work:
        bench = prepare(asked, Path(work))
        runs, told = [], {}
        for run, peer in all_runs(bench):
            runs.append(run)
            told = peer or told
            kl = {name: total(parts).mean_kl for name, parts in run.fidelity.items()}
            print(f"{run.tool}, seed {run.seed}: {run.seconds:.1f} s, KL {kl}", flush=True)
        page = report(bench, runs, told)
    path = asked.out / f"peer-comparison_{asked.name}_{asked.hardware}_{asked.date}.md"
    path.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
