"""Learn one decoder block of a 7B model on a GPU: how fast, how much memory, and the same twice?

A random block of Qwen2-VL-7B's shape, in plain torch, learns from random chains; nothing but torch
and quantcore is needed, so that it runs on a bare GPU machine:

    python -m benchmarks.gpu_block --samples 128 --seqlen 2048 --iters 40

Each mode (torch's default kernels, then deterministic ones) learns a block twice, carries the chain
through its codes, and learns the next block twice: once on that chain, and once on a chain that was
made anew from the stored codes, as a run that resumes makes it.  It prints a table and JSON.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.gpu_decoder import IN_MEMORY, Shape, random_block, random_chain
from quantcore import ENGINE_VERSION, seam, signround
from quantcore.activations import Chain, duplicate
from quantcore.block import Block, QuantizedBlock, advance
from quantcore.grid import IntGrid, QuantizedWeight
from quantcore.learning import learn_block
from quantcore.signround import SignRound

GRID = IntGrid(bits=4, group_size=128, symmetric=True)
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
GIB = 2**30


def same(weights: Mapping[str, QuantizedWeight], others: Mapping[str, QuantizedWeight]) -> bool:
    """Tell whether two learnings came to the same codes, scales and zero points, bit for bit."""
    return all(
        torch.equal(a, b)
        for name, weight in weights.items()
        for a, b in zip(weight, others[name], strict=True)
    )


@dataclass(frozen=True)
class Lap:
    """One learning of a block."""

    learned: QuantizedBlock
    seconds: tuple[float, ...]  # of each step
    total_seconds: float
    peak_gib: float | None

    @property
    def codes(self) -> Mapping[str, QuantizedWeight]:
        """Return what was kept."""
        return self.learned.weights


class Bench:
    """The block, its chains and how it is learned."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        self.device = torch.device(asked.device)
        self.dtype = DTYPES[asked.dtype]
        self.shape = Shape(asked.hidden, asked.intermediate, asked.heads, asked.kv_heads)
        self.how = SignRound(iters=asked.iters, batch_size=asked.batch_size, lr=asked.lr)

    def chain(self) -> Chain:
        """Return the chain in front of the first block."""
        return random_chain(
            self.shape, self.asked.samples, self.asked.seqlen, self.device, self.dtype
        )

    def block(self, index: int) -> Block:
        """Return a block."""
        return random_block(self.shape, index, self.device, self.dtype)

    def timed(self, work: Callable[[], object]) -> float:
        """Return the seconds that something takes on the device."""
        self._wait()
        started = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - started

    def lap(self, block: Block, inputs: Chain, targets: Chain) -> Lap:
        """Learn a block, and take the time of each step."""
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        moments = [time.perf_counter()]
        learned = learn_block(
            block,
            inputs,
            targets,
            GRID,
            self.how,
            progress=lambda _step, _loss: moments.append(time.perf_counter()),
        )
        total = time.perf_counter() - moments[0]
        seconds = tuple(b - a for a, b in itertools.pairwise(moments))
        peak = torch.cuda.max_memory_allocated() / GIB if cuda else None
        return Lap(learned, seconds, total, peak)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def starts_from_its_codes(block: Block, learned: QuantizedBlock) -> bool:
    """Tell whether a seam would begin with exactly these codes on this device."""
    for name, own in block.weights.items():
        found = learned.weights[name].to(block.device)
        weight = signround.grouped(name, own, GRID)
        begun = signround.quantize(*seam.start_from(weight, found, GRID), GRID)
        if not all(torch.equal(a, b) for a, b in zip(found, begun, strict=True)):
            return False
    return True


def run(bench: Bench, *, deterministic: bool) -> dict[str, Any]:
    """Learn two blocks, each twice, and return what was seen."""
    torch.use_deterministic_algorithms(deterministic)
    size = bench.how.batch_size
    full, first = bench.chain(), bench.block(0)
    quantized = duplicate(full, name="quantized", budget=IN_MEMORY)
    passes = [bench.timed(lambda: advance(first, full, {}, size))]
    laps = [bench.lap(first, quantized, full) for _ in range(2)]
    seen = {
        "mode": "deterministic" if deterministic else "default",
        **speed(laps[1]),
        "seconds to gather a batch": gathering(bench, full),
        "twice: same codes": same(laps[0].codes, laps[1].codes),
        "twice: same losses, each step": laps[0].learned.losses == laps[1].learned.losses,
        "a seam begins with the found codes": starts_from_its_codes(first, laps[0].learned),
    }
    codes = laps[0].codes
    passes.append(bench.timed(lambda: advance(first, quantized, codes, size)))
    second = bench.block(1)
    passes.append(bench.timed(lambda: advance(second, full, {}, size)))
    onward = bench.lap(second, quantized, full)
    return {
        **seen,
        "seconds to carry a chain: 16-bit, quantized, 16-bit": passes,
        **resuming(bench, (first, second), Lesson(quantized, full), onward, codes),
    }


class Lesson(NamedTuple):
    """What a block learns from."""

    inputs: Chain
    targets: Chain


def speed(lap: Lap) -> dict[str, Any]:
    """Return how fast a block was learned, in how much memory, and how well."""
    losses = lap.learned.losses
    assert losses is not None
    return {
        "seconds a step, median": statistics.median(lap.seconds),
        "seconds a step, slowest": max(lap.seconds),
        "seconds a block, learning": lap.total_seconds,
        "peak GPU memory, GiB": lap.peak_gib,
        "held-out loss, nearest and kept": [losses.nearest, losses.chosen],
        "iteration kept": lap.learned.chosen_iteration,
    }


def gathering(bench: Bench, chain: Chain) -> float:
    """Return the seconds in which the states of one batch come to the device."""
    samples = list(range(bench.how.batch_size))
    return statistics.median(
        bench.timed(lambda: chain.batch(samples, bench.device, bench.dtype)) for _ in range(5)
    )


def resuming(
    bench: Bench,
    blocks: tuple[Block, Block],
    undisturbed: Lesson,
    onward: Lap,
    codes: Mapping[str, QuantizedWeight],
) -> dict[str, Any]:
    """Make both chains anew, carry them through stored codes, and learn the second block again."""
    size = bench.how.batch_size
    full, quantized = bench.chain(), bench.chain()
    advance(blocks[0], full, {}, size)
    advance(blocks[0], quantized, codes, size)
    advance(blocks[1], full, {}, size)
    again = bench.lap(blocks[1], quantized, full)
    return {
        "resumed: same inputs": torch.equal(quantized.states, undisturbed.inputs.states),
        "resumed: same targets": torch.equal(full.states, undisturbed.targets.states),
        "resumed: same codes of the next block": same(onward.codes, again.codes),
        "resumed: same losses, each step": onward.learned.losses == again.learned.losses,
        "resumed: iterations kept": [
            onward.learned.chosen_iteration,
            again.learned.chosen_iteration,
        ],
    }


def main() -> None:
    """Run both modes, print a table and JSON."""
    asked = arguments()
    if asked.device == "cuda":  # read when cuBLAS starts; without it deterministic mode refuses
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    bench = Bench(asked)
    told = {
        "device": torch.cuda.get_device_name() if asked.device == "cuda" else "cpu",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": sys.version.split()[0],
        "engine": ENGINE_VERSION,
        "asked": {key: value for key, value in vars(asked).items() if key != "out"},
        "shape": asdict(bench.shape),
    }
    runs = []
    for deterministic in (False, True):
        try:
            runs.append(run(bench, deterministic=deterministic))
        except RuntimeError as error:  # of an operation that knows no deterministic way
            mode = "deterministic" if deterministic else "default"
            runs.append({"mode": mode, "refused": str(error)})
        print(f"# {runs[-1]['mode']} done", file=sys.stderr, flush=True)
    text = json.dumps({**told, "runs": runs}, indent=1)
    print(table(told, runs))
    print(text)
    if asked.out is not None:
        asked.out.write_text(text + "\n", encoding="utf-8")


def table(told: Mapping[str, Any], runs: list[dict[str, Any]]) -> str:
    """Return what was seen as Markdown, a column a mode."""
    asked = told["asked"]
    head = (
        f"{told['device']}, torch {told['torch']}, CUDA {told['cuda']}: {asked['samples']} samples "
        f"of {asked['seqlen']} tokens, batches of {asked['batch_size']}, {asked['iters']} steps, "
        f"{asked['dtype']}, 4 bits, groups of {GRID.group_size}, symmetric."
    )
    keys = dict.fromkeys(key for run in runs for key in run if key != "mode")
    rows = [[key, *(_cell(run.get(key, "-")) for run in runs)] for key in keys]
    columns = ["", *(run["mode"] for run in runs)]
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join([head, "", *(f"| {' | '.join(line)} |" for line in lines)]) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_cell(each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--seqlen", type=int, default=2048)
    parser.add_argument("--iters", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=0.005, help="that of 200 steps")
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="bfloat16")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for name, size in asdict(Shape()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=size)
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
