"""How much faster are two workers than one, and what does it cost in quality?

A service is started on this machine, and the demo model's blocks are quantized by its workers, each
with one thread: as one segment by one worker, as two segments by one, and as two by two.  The ways
take turns, each in a store of its own; times include what handing out costs.

    python -m benchmarks.workers --repeats 3
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.measuring import FLOAT32, total
from flows import server
from flows.segment import Records, cut
from flows.segments import Asked, Cut, quantize_variants
from flows.service.service import down, up
from flows.service.settings import ServiceSettings
from infra.calibration.sample import load as load_samples
from infra.calibration.spec import CalibrationSpec
from infra.demo import MODEL_DIR
from infra.demo.datasets import write_mixed_text_set, write_text_set
from infra.models.source import ModelSource, resolve
from infra.store import Place, StoreAddress, open_store
from quantcore.metrics import fidelity
from tasks.calibrate import collect_samples
from tasks.codes import read_codes
from tasks.engine import budget_of, open_model
from tasks.specs import CalibrationRef, QuantizationSpec, WorkersSpec
from tasks.streaming import CodesOf, as_it_is, stream_logits

WAYS = ((1, 1), (1, 2), (2, 2))  # (workers, segments)
HELD_OUT, HELD_OUT_SEED = 32, 977
COLUMNS = (
    "workers", "segments", "seconds", "in blocks, all workers together",
    "speed-up over one worker", "efficiency", "mean KL",
)  # fmt: skip


class Lap(NamedTuple):
    """One quantization of all blocks."""

    seconds: float  # from handing out to the last outcome
    in_blocks: float  # of these, added up over all workers
    mean_kl: float


@dataclass(frozen=True, slots=True)
class Bench:
    """What all laps share."""

    options: argparse.Namespace
    workspace: Path
    source: ModelSource

    def place(self, name: str) -> Place:
        """Return a place with a store of its own."""
        return Place.of(self.workspace, StoreAddress(uri=str(self.workspace / "stores" / name)))

    def samples(self, place: Place) -> CalibrationRef:
        """Draw the samples into a store."""
        path = self.workspace / "mixed.jsonl"
        drawn = {"name": "mixed", "kind": "text", "source": str(path), "seed": 42}
        sizes = {"nsamples": self.options.nsamples, "seqlen": self.options.seqlen}
        return collect_samples.fn(CalibrationSpec.model_validate(drawn | sizes), self.source, place)

    def lap(self, workers: int, segments: int, repeat: int) -> Lap:
        """Quantize once on the workers that run now."""
        place = self.place(f"{workers}-{segments}-{repeat}")
        blocks = open_model(self.source.path, FLOAT32).family.blocks
        how = Cut(
            self.source,
            cut(blocks, segments),
            QuantizationSpec(iters=self.options.iters, segments=segments),
            FLOAT32.model_copy(update={"threads": 1}),
            place,
        )
        asked = (Asked("mixed", self.samples(place)),)
        begun = time.perf_counter()
        records = quantize_variants(how, asked, WorkersSpec(pool="gpu"))["mixed"]
        seconds = time.perf_counter() - begun
        return Lap(seconds, sum(each.seconds for each in records), self.kl(records, place))

    def kl(self, records: Records, place: Place) -> float:
        """Return the mean KL divergence of what was made, in nats a token of held-out text."""
        store = open_store(place)
        codes = [read_codes(store.open(record.ref)) for record in records]
        spec = CalibrationSpec(
            name="held-out", kind="text", source=str(self.workspace / "held-out.jsonl"),
            nsamples=HELD_OUT, seqlen=self.options.seqlen, seed=7,
        )  # fmt: skip
        samples = load_samples(store.open(collect_samples.fn(spec, self.source, place).ref)).samples
        model = open_model(self.source.path, FLOAT32)

        def predictions(codes_of: CodesOf) -> list[torch.Tensor]:
            with tempfile.TemporaryDirectory() as scratch:
                budget = budget_of(FLOAT32, Path(scratch), chains=1)
                return list(stream_logits(model, samples, codes_of, budget))

        return total(
            [
                fidelity(ours[:-1], theirs[:-1], sample.input_ids[1:])
                for ours, theirs, sample in zip(
                    predictions(as_it_is), predictions(codes.__getitem__), samples, strict=True
                )
            ]
        ).mean_kl


def laps(bench: Bench) -> dict[tuple[int, int], list[Lap]]:
    """Go round all ways, as often as is asked."""
    found: dict[tuple[int, int], list[Lap]] = {way: [] for way in WAYS}
    for repeat in range(bench.options.repeats):
        for workers, segments in WAYS:
            settings = ServiceSettings(devices="cpu", cpu_workers=workers, port=0)
            up(bench.workspace, settings, lambda _line: None)
            with server.connected(bench.workspace):
                lap = bench.lap(workers, segments, repeat)
            found[workers, segments].append(lap)
            print(f"{workers} workers, {segments} segments: {lap.seconds:.0f} s", file=sys.stderr)
    return found


def table(found: dict[tuple[int, int], list[Lap]]) -> str:
    """Return medians, and ratios within a round, as Markdown."""
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        "|" + " --- |" * len(COLUMNS),
    ]
    for (workers, segments), each in found.items():
        base = found[1, segments]
        ratio = statistics.median(
            one.seconds / ours.seconds for one, ours in zip(base, each, strict=True)
        )
        cells = (
            str(workers),
            str(segments),
            f"{statistics.median(lap.seconds for lap in each):.0f}",
            f"{statistics.median(lap.in_blocks for lap in each):.0f}",
            f"{ratio:.2f} x",
            f"{ratio / workers:.0%}",
            f"{each[0].mean_kl:.6f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def page(options: argparse.Namespace, text: str, load: float) -> str:
    """Return the page that is kept."""
    return (
        f"# One and two workers: 2-core-cpu, {datetime.now(UTC):%Y-%m-%d}\n\n"
        f"    python -m benchmarks.workers {' '.join(sys.argv[1:])}\n\n"
        f"The demo model on a service of one machine with {os.cpu_count()} cores, which also runs "
        f"the server and whoever hands out; each worker has one thread.  {options.iters} "
        f"iterations, {options.nsamples} samples of {options.seqlen} tokens, float32.  Medians of "
        f"{options.repeats} rounds in which the ways take turns, ratios within a round; the "
        f"machine's load was {load:.1f} when it began.  Seconds are from handing out to the last "
        "outcome: starting a worker's run, which is most of what is not in blocks, is paid once a "
        "segment, and the capture of states where there are two.  KL in nats a token, on held-out "
        f"text.\n\n{text}"
    )


def main() -> None:
    """Measure, print the table and write it to the results."""
    options = arguments()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Path(scratch)
        write_mixed_text_set(workspace / "mixed.jsonl", count=4 * options.nsamples, seed=1)
        write_text_set(workspace / "held-out.jsonl", count=4 * HELD_OUT, seed=HELD_OUT_SEED)
        try:
            text = table(laps(Bench(options, workspace, resolve(str(MODEL_DIR)))))
        finally:
            down(workspace)
    print(text)
    if options.out is not None:
        options.out.write_text(page(options, text, load), encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--iters", type=int, default=100)
    parser.add_argument("--nsamples", type=int, default=64)
    parser.add_argument("--seqlen", type=int, default=256)
    parser.add_argument("--out", type=Path, help="the page that is written")
    return parser.parse_args()


if __name__ == "__main__":
    main()
