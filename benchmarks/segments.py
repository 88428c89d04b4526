"""What do parallel segments cost, and what does a seam win back?

The demo model is quantized as 1, 2, 3 … segments, from the same samples with the same seed, and
then with seams of some lengths.  Each result is compared with the 16-bit model on held-out text:
mean KL divergence of its predictions.  A pair of rows differs in nothing else:

    python -m benchmarks.segments --iters 100 --seams 25 100 --calibrations 1 2 3
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.measuring import FLOAT32, Difference, paired, total
from flows.segment import cut
from infra.calibration.sample import Sample
from infra.calibration.sample import load as load_samples
from infra.calibration.spec import CalibrationSpec
from infra.demo import MODEL_DIR
from infra.demo.datasets import write_mixed_text_set, write_text_set
from infra.models.source import ModelSource, resolve
from infra.store import ArtifactRef, Place, StoreAddress, open_store
from quantcore.metrics import Fidelity, fidelity
from tasks.calibrate import collect_samples
from tasks.capture import CapturePlan, capture_start, open_capture
from tasks.codes import read_codes
from tasks.engine import OpenModel, budget_of, open_model
from tasks.quantize import open_segment, quantize_block
from tasks.specs import BlockRecord, CalibrationRef, QuantizationSpec, SegmentPlan
from tasks.streaming import CodesOf, as_it_is, stream_logits

HELD_OUT_SEED, HELD_OUT = 977, 48  # of the text that results are compared on
WRITERS = {"stories": write_text_set, "mixed": write_mixed_text_set}
COLUMNS = (
    "segments", "seam", "mean KL", "by calibration seed", "against 1 segment, 95 %",
    "top-1 agreement", "all blocks, s", "longest way, s",
)  # fmt: skip
Records = tuple[BlockRecord, ...]


class Row(NamedTuple):
    """One way to quantize, over all calibration seeds."""

    segments: int
    seam: int
    runs: tuple[tuple[Fidelity, ...], ...]  # a run a seed, in it a sample each
    seconds: tuple[float, ...]  # of each run: all its blocks, one after the other
    longest: tuple[float, ...]  # of each run: its slowest segment, and the seam


class Made(NamedTuple):
    """The blocks of one run, and what they cost."""

    records: Records
    seconds: float
    longest: float


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs share."""

    options: argparse.Namespace
    work: Path
    source: ModelSource

    @property
    def place(self) -> Place:
        """Where steps leave what they found."""
        return Place.of(self.work, StoreAddress())

    @property
    def model(self) -> OpenModel:
        """The 16-bit model."""
        return open_model(self.source.path, FLOAT32)

    def samples(self, name: str, seed: int, count: int) -> CalibrationRef:
        """Draw samples from a text set that is written with ``seed``."""
        write = WRITERS[name]
        path = write(self.work / f"{name}-{seed}.jsonl", count=4 * count, seed=seed)
        drawn = {"name": name, "kind": "text", "source": str(path), "nsamples": count}
        spec = CalibrationSpec.model_validate(drawn | {"seqlen": self.options.seqlen, "seed": 42})
        return collect_samples.fn(spec, self.source, self.place)

    def predictions(self, samples: Sequence[Sample], codes_of: CodesOf) -> list[torch.Tensor]:
        """Return the logits of every sample."""
        with tempfile.TemporaryDirectory() as scratch:
            budget = budget_of(FLOAT32, Path(scratch), chains=1)
            return list(stream_logits(self.model, samples, codes_of, budget))

    def plan(self, calibration: CalibrationRef, run: range, seam: int) -> SegmentPlan:
        """Return the plan of a segment."""
        return SegmentPlan(
            variant="segments",
            source=self.source,
            calibration=calibration,
            quantization=QuantizationSpec(
                iters=self.options.iters, seam=seam, seed=42, lr=self.options.lr
            ),
            compute=FLOAT32.model_copy(update={"threads": self.options.threads}),
            first_block=run.start,
            end_block=run.stop,
            blocks=self.model.family.blocks,
            place=self.place,
        )


def carried_out(plan: SegmentPlan) -> Records:
    """Quantize the blocks of a plan, or find them."""
    with open_segment(plan) as segment:
        return tuple(
            quantize_block.fn(segment, block) for block in range(plan.first_block, plan.end_block)
        )


def starts(bench: Bench, calibration: CalibrationRef, runs: Sequence[range]) -> list[ArtifactRef]:
    """Capture the 16-bit states in front of all segments but the first."""
    if len(runs) == 1:
        return []
    plan = CapturePlan(
        variant="segments",
        source=bench.source,
        calibration=calibration,
        batch_size=8,
        compute=FLOAT32.model_copy(update={"threads": bench.options.threads}),
        starts=tuple(run.start for run in runs[1:]),
        place=bench.place,
    )
    with open_capture(plan) as capture:
        return [capture_start.fn(capture, block).ref for block in plan.starts]


def quantized(bench: Bench, calibration: CalibrationRef, segments: int, seam: int) -> Made:
    """Quantize all blocks in some segments, and go over their seams."""
    runs = cut(bench.model.family.blocks, segments)
    begun = [None, *starts(bench, calibration, runs)]
    parts = [
        carried_out(bench.plan(calibration, run, seam).model_copy(update={"start": start}))
        for run, start in zip(runs, begun, strict=True)
    ]
    records = tuple(record for part in parts for record in part)
    longest = max(sum(record.seconds for record in part) for part in parts)
    seconds = sum(record.seconds for record in records)
    if not seam or segments == 1:
        return Made(records, seconds, longest)
    behind = bench.plan(calibration, range(runs[1].start, runs[-1].stop), seam)
    found = tuple(record.ref for record in records)
    tuned = carried_out(behind.model_copy(update={"start": begun[1], "found": found}))
    more = sum(record.seconds for record in tuned)
    return Made(records[: runs[1].start] + tuned, seconds + more, longest + more)


def rows(bench: Bench) -> Iterator[Row]:
    """Quantize in every way from every calibration set, and compare with the 16-bit model."""
    store = open_store(bench.place)
    held_out = bench.samples(bench.options.held_out, HELD_OUT_SEED, HELD_OUT)
    samples = load_samples(store.open(held_out.ref)).samples
    reference = bench.predictions(samples, as_it_is)
    sets = [
        bench.samples("mixed", seed, bench.options.nsamples) for seed in bench.options.calibrations
    ]
    for segments in bench.options.segments:
        for seam in (0, *bench.options.seams) if segments > 1 else (0,):
            made = [quantized(bench, each, segments, seam) for each in sets]
            runs = []
            for one in made:
                codes = [read_codes(store.open(record.ref)) for record in one.records]
                theirs = bench.predictions(samples, codes.__getitem__)
                runs.append(tuple(map(_fidelity, reference, theirs, samples)))
            print(f"{segments} segments, seam {seam}: done", file=sys.stderr, flush=True)
            yield Row(
                segments,
                seam,
                tuple(runs),
                tuple(one.seconds for one in made),
                tuple(one.longest for one in made),
            )


def _fidelity(reference: torch.Tensor, theirs: torch.Tensor, sample: Sample) -> Fidelity:
    return fidelity(reference[:-1], theirs[:-1], sample.input_ids[1:])


def table(found: Sequence[Row]) -> str:
    """Return what was found as Markdown: KL, and its difference to one segment."""
    whole = found[0]
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    for row in found:
        each = [total(run) for run in row.runs]
        mean = sum(part.mean_kl for part in each) / len(each)
        agreement = sum(part.top1_agreement for part in each) / len(each)
        apart: Difference | str = "-" if row is whole else paired(row.runs, whole.runs)
        cells = [
            str(row.segments),
            str(row.seam or "-"),
            f"{mean:.6f}",
            ", ".join(f"{part.mean_kl:.6f}" for part in each),
            str(apart),
            f"{agreement:.2%}",
            f"{sum(row.seconds) / len(row.seconds):.0f}",
            f"{sum(row.longest) / len(row.longest):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print the table and write it to the results."""
    options = arguments()
    torch.set_num_threads(options.threads)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(options, options.work or Path(scratch), resolve(str(MODEL_DIR)))
        text = table(list(rows(bench)))
    print(text)
    print(f"{time.perf_counter() - started:.0f} s")
    if options.out is not None:
        options.out.write_text(page(options, text), encoding="utf-8")


def page(options: argparse.Namespace, text: str) -> str:
    """Return the page that is kept."""
    return (
        f"# Segments and seams: the demo model, {datetime.now(UTC):%Y-%m-%d}\n\n"
        f"    python -m benchmarks.segments {' '.join(sys.argv[1:])}\n\n"
        f"torch {torch.__version__}, float32, {options.threads} thread of a shared 2-core machine; "
        f"4 bits, group size 128, symmetric, {options.iters} iterations, {options.nsamples} "
        f"samples of {options.seqlen} tokens of the demo's text set, drawn for seeds "
        f"{', '.join(map(str, options.calibrations))}.  KL in nats a token on {HELD_OUT} held-out "
        f"{options.held_out}; its interval is over texts, runs of different seeds averaged first. "
        "Seconds are those of a busy machine, of all blocks one after the other; the longest way "
        "is the slowest segment and then the seam, which is what as many workers as segments "
        f"would take.\n\n{text}"
    )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--segments", type=int, nargs="+", default=[1, 2, 3, 6])
    parser.add_argument("--seams", type=int, nargs="*", default=[25, 100])
    parser.add_argument("--calibrations", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--iters", type=int, default=100)
    parser.add_argument("--lr", type=float, help="of segments and seams; default: 1 / steps")
    parser.add_argument("--nsamples", type=int, default=64)
    parser.add_argument("--seqlen", type=int, default=256)
    parser.add_argument("--held-out", choices=sorted(WRITERS), default="stories")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, help="keep the store here, and find it again")
    parser.add_argument("--out", type=Path, help="the page that is written")
    return parser.parse_args()


if __name__ == "__main__":
    main()
