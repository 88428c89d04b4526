"""The controls of the gate at the size of the demo: what it says of which checkpoint, seed by seed.

    python -m benchmarks.controls --questions 2002 3003 4004 --calibrations 1001 5005

Candidates are the demo model rounded to nearest with 2, 3 and 4 bits, and learned with 4 bits on
the sets of every calibration seed.  Each is exported, answers the four
benchmarks of every question seed from its files, and is judged by the default gate.  Everything in
one run, in float32 on the CPU.
"""

import argparse
import datetime as dt
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from transformers.utils import logging as chatter

from flows.demonstration import HELD_OUT_ROWS, HELD_OUT_SEED, QUESTIONS, ROWS
from infra.calibration.spec import CalibrationSpec
from infra.demo import MODEL_DIR
from infra.demo.benchmarks import write_benchmarks
from infra.demo.datasets import write_conversation_set, write_mixed_text_set, write_text_set
from infra.evaluation.verdict import GateSpec
from infra.evaluation.wording import signed
from infra.models.source import resolve
from infra.store import Place, StoreAddress
from tasks.answer import Shard, answer_benchmarks
from tasks.calibrate import collect_samples
from tasks.engine import open_model
from tasks.evalspecs import (
    AnswersRef,
    BenchmarksSpec,
    Divergence,
    FidelityPlan,
    FidelityReport,
    Judged,
    ScoredRef,
    Subject,
    TableRef,
)
from tasks.export import export_checkpoint
from tasks.fidelity import compare_predictions
from tasks.quantize import open_segment, quantize_block
from tasks.score import evidence_of, judge_variant, score_answers
from tasks.specs import CalibrationRef, ComputeSpec, ExportSpec, QuantizationSpec, SegmentPlan
from tasks.tables import find_benchmarks

ROOT = Path(__file__).parents[1]
NAMES = ("MMBench_DEV_EN_V11", "ScienceQA_VAL", "TextVQA_VAL", "POPE")
ROUNDED = (2, 3, 4)
SETS = ("pile", "llava", "stories")
SEED = 42


class Candidate(NamedTuple):
    """A checkpoint, and how it came about."""

    name: str
    subject: Subject
    learned: bool


class Judgement(NamedTuple):
    """What became of a candidate on the questions of one seed."""

    candidate: str
    questions: int
    fidelity: FidelityReport
    judged: Judged


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs share."""

    options: argparse.Namespace
    work: Path
    baseline: Subject

    @property
    def place(self) -> Place:
        """Where steps leave what they found."""
        return Place.of(self.work, StoreAddress())

    @property
    def compute(self) -> ComputeSpec:
        """All in one precision."""
        return ComputeSpec(device="cpu", dtype="float32", threads=self.options.threads)

    def samples(self, name: str, kind: str, source: Path, count: int, seed: int) -> CalibrationRef:
        """Draw samples as the demo's recipe does."""
        drawn = {"name": name, "kind": kind, "source": str(source), "nsamples": count}
        spec = CalibrationSpec.model_validate(drawn | {"seqlen": 256, "seed": seed})
        return collect_samples.fn(spec, self.baseline.source, self.place)

    def quantize(
        self, name: str, calibration: CalibrationRef | None, asked: QuantizationSpec
    ) -> Candidate:
        """Round, or learn to, and export."""
        out = self.work / "exports" / name
        if not out.exists():
            self._export(name, calibration, asked, out)
        folder = out / "auto_round"
        return Candidate(name, Subject(name=name, source=resolve(str(folder))), asked.iters > 0)

    def _export(
        self, name: str, calibration: CalibrationRef | None, asked: QuantizationSpec, out: Path
    ) -> None:
        source = self.baseline.source
        blocks = open_model(source.path, self.compute).family.blocks
        plan = SegmentPlan(
            variant=name,
            source=source,
            calibration=calibration,
            quantization=asked,
            compute=self.compute,
            first_block=0,
            end_block=blocks,
            blocks=blocks,
            place=self.place,
        )
        with open_segment(plan) as segment:
            records = tuple(quantize_block.fn(segment, block) for block in range(blocks))
        export = ExportSpec(formats=("auto_round",), output_dir=out)
        export_checkpoint.fn(source, records, asked, export, {"variant": name}, self.place)
        print(f"{name}: exported", flush=True)


def candidates(bench: Bench) -> Iterator[Candidate]:
    """Make all checkpoints."""
    for bits in ROUNDED:
        asked = QuantizationSpec(bits=bits, iters=0)
        yield bench.quantize(f"rounded-{bits}-bits", None, asked)
    asked = QuantizationSpec(iters=bench.options.iters, seed=SEED)
    count = bench.options.nsamples
    for seed in bench.options.calibrations:
        for name in bench.options.sets:
            drawn = bench.samples(name, *written(name, bench.work / str(seed), seed), count, SEED)
            yield bench.quantize(f"{name}-{seed}", drawn, asked)


def written(name: str, folder: Path, seed: int) -> tuple[str, Path]:
    """Write a calibration set, and return its kind and where it is."""
    if name == "llava":
        return "image_text", write_conversation_set(folder / name, count=ROWS, seed=seed)
    write = write_text_set if name == "stories" else write_mixed_text_set
    return "text", write(folder / f"{name}.jsonl", count=ROWS, seed=seed)


def judge_all(bench: Bench, found: Sequence[Candidate], seed: int) -> Iterator[Judgement]:
    """Put the questions of one seed to every candidate, and judge."""
    folder = bench.work / "tables" / str(seed)
    write_benchmarks(folder, seed=seed, sizes=QUESTIONS)
    asked = BenchmarksSpec(names=NAMES, source=str(folder), fidelity_prompts=512)
    tables = find_benchmarks.fn(asked, bench.work / "cache")
    text = write_text_set(bench.work / "held-out.jsonl", count=HELD_OUT_ROWS, seed=HELD_OUT_SEED)
    answers = answered(bench, bench.baseline, asked, tables)
    reports = compare_predictions.fn(
        FidelityPlan(
            baseline=bench.baseline,
            candidates=tuple(each.subject for each in found),
            text=bench.samples("held-out", "text", text, 32, 7).ref,
            tables=tables,
            answers=answers,
            asked=asked,
            compute=bench.compute,
            place=bench.place,
        )
    )
    before = scored(bench, answers, asked, tables)
    for each in found:
        mine = answered(bench, each.subject, asked, tables)
        after = scored(bench, mine, asked, tables)
        report = reports[each.name]
        evidence = evidence_of(report, round_to_nearest=not each.learned)
        judged = judge_variant.fn(before, after, evidence, GateSpec(), bench.place)
        print(f"questions {seed}, {each.name}: {judged.verdict.outcome}", flush=True)
        yield Judgement(each.name, seed, report, judged)


def answered(
    bench: Bench, subject: Subject, asked: BenchmarksSpec, tables: tuple[TableRef, ...]
) -> tuple[AnswersRef, ...]:
    """Let one model answer all questions."""
    return answer_benchmarks.fn(
        Shard(
            subject=subject,
            tables=tables,
            asked=asked,
            compute=bench.compute,
            number=0,
            place=bench.place,
        )
    )


def scored(
    bench: Bench,
    answers: tuple[AnswersRef, ...],
    asked: BenchmarksSpec,
    tables: tuple[TableRef, ...],
) -> tuple[ScoredRef, ...]:
    """Count the answers to each benchmark."""
    return tuple(
        score_answers.fn(
            table,
            tuple(ref for ref in answers if ref.benchmark == table.benchmark.name),
            asked,
            bench.place,
        )
        for table in tables
    )


def rows(found: Sequence[Judgement]) -> Iterator[str]:
    """Write the lines of the table."""
    yield (
        "| candidate | questions | verdict | average | one-sided 95 % | KL on questions: own, "
        "rounded, difference 95 % | KL on text: own, rounded | times plain INT4, 95 %: text, "
        "questions | because of |"
    )
    yield f"|{' --- |' * 9}"
    for each in sorted(found, key=lambda one: one.candidate):
        average = each.judged.comparison.average
        bounds = average.interval
        text, prompts = each.fidelity.text, each.fidelity.prompts
        assert text is not None
        assert prompts is not None
        verdict = each.judged.verdict
        against = [f"{one.check} {one.benchmark or ''}".strip() for one in verdict.decisive]
        cells = (
            each.candidate,
            str(each.questions),
            verdict.outcome,
            f"{average.baseline:.2f} to {average.candidate:.2f}",
            f"{signed(bounds.lower, 2)} to {signed(bounds.upper, 2)}",
            f"{prompts.mean_kl:.5f}, {prompts.mean_kl_rtn:.5f}, {less(prompts)}",
            f"{text.mean_kl:.5f}, {text.mean_kl_rtn:.5f}",
            f"{times(text)}; {times(prompts)}",
            "" if verdict.outcome == "pass" else ", ".join(against),
        )
        yield f"| {' | '.join(cells)} |"


def less(found: Divergence) -> str:
    """Return how much less than that of plain rounding the divergence is."""
    interval = found.less_than_rtn
    return "" if interval is None else f"{interval.low:+.5f} to {interval.high:+.5f}"


def times(found: Divergence) -> str:
    """Return how many times that of plain 4 bits the divergence is."""
    interval = found.times_int4
    return "" if interval is None else f"{interval.low:.2f} to {interval.high:.2f}"


def report(options: argparse.Namespace, found: Sequence[Judgement]) -> str:
    """Write the page."""
    command = (
        f"    python -m benchmarks.controls --questions {' '.join(map(str, options.questions))} "
        f"--calibrations {' '.join(map(str, options.calibrations))} --sets "
        f"{' '.join(options.sets)} --iters {options.iters} --nsamples {options.nsamples} "
        f"--threads {options.threads}"
    )
    setting = (
        f"Group size 128, symmetric; learned: {options.iters} iterations, {options.nsamples} "
        "samples of up to 256 tokens. Questions and held-out text are those of the demo, the "
        "questions of several seeds. The default gate judges. stories: prose alone; pile: prose "
        "and transcripts in turn; llava: pictures and conversations."
    )
    title = f"# Controls of the gate: demo model, {options.hardware}, {options.date}"
    versions = f"torch {torch.__version__}, {platform.machine()}, float32."
    return "\n".join((title, "", setting, "", command, "", versions, "", *rows(found), ""))


def main() -> None:
    """Run all of it and print the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, nargs="+", default=[HELD_OUT_SEED])
    parser.add_argument("--calibrations", type=int, nargs="*", default=[1001])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--iters", type=int, default=200)
    parser.add_argument("--nsamples", type=int, default=128)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--hardware", default=f"{os.cpu_count()}-core-cpu")
    parser.add_argument("--date", default=dt.datetime.now(dt.UTC).date().isoformat())
    parser.add_argument("--work", type=Path, help="folder to keep, so that it can be gone on with")
    parser.add_argument("--out", type=Path, help="folder to write the page to")
    options = parser.parse_args()
    chatter.set_verbosity_error()
    with tempfile.TemporaryDirectory() as scratch:
        source = resolve(str(MODEL_DIR))
        bench = Bench(options, options.work or Path(scratch), Subject(name="16bits", source=source))
        made = tuple(candidates(bench))
        found = [one for seed in options.questions for one in judge_all(bench, made, seed)]
    page = report(options, found)
    print(page)
    if options.out is not None:
        name = f"controls_demo_{options.hardware}_{options.date}.md"
        (options.out / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
