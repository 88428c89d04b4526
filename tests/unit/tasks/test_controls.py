"""The controls of the gate on the demo model: what must fail fails, what must pass passes.

Real weights, the default gate, and questions of several seeds; `benchmarks.controls` does the same
at the size of the demo.
"""

from pathlib import Path
from typing import NamedTuple

import pytest

from infra.calibration.spec import CalibrationSpec
from infra.demo import MODEL_DIR
from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.demo.datasets import write_conversation_set, write_text_set
from infra.evaluation.compared import Interval
from infra.evaluation.verdict import GateSpec
from quantcore.grid import IntGrid
from tasks.answer import Shard, answer_benchmarks
from tasks.calibrate import collect_samples
from tasks.evalspecs import (
    AnswersRef,
    BenchmarksSpec,
    FidelityPlan,
    FidelityReport,
    Judged,
    ScoredRef,
    Subject,
    TableRef,
)
from tasks.export import export_checkpoint
from tasks.fidelity import compare_predictions
from tasks.score import evidence_of, judge_variant, score_answers
from tasks.specs import CalibrationRef, ExportSpec, QuantizationSpec, SegmentPlan
from tasks.tables import find_benchmarks
from tests.support.examining import NAMES, ON_CPU, subject
from tests.support.exports import write_export
from tests.support.places import place_at
from tests.support.runs import quantized

FEW = BenchmarkSizes(circular_groups=10, science=10, reading=10, presence=40)
MORE = BenchmarkSizes(circular_groups=24, science=48, reading=24, presence=96)
LEARNED = QuantizationSpec(iters=40)


class Court(NamedTuple):
    """Questions, held-out text, and where everything is kept."""

    store: Path
    asked: BenchmarksSpec
    tables: tuple[TableRef, ...]
    text: CalibrationRef

    def judge(self, candidate: Subject, *, round_to_nearest: bool = False) -> "Trial":
        """Let a candidate and the 16-bit model answer, compare them, and judge."""
        baseline = subject("16bits", MODEL_DIR)
        before, after = (self._answered(each) for each in (baseline, candidate))
        (report,) = compare_predictions.fn(
            FidelityPlan(
                baseline=baseline,
                candidates=(candidate,),
                text=self.text.ref,
                tables=self.tables,
                answers=before,
                asked=self.asked,
                compute=ON_CPU,
                place=place_at(self.store),
            )
        ).values()
        evidence = evidence_of(report, round_to_nearest=round_to_nearest)
        scores = (self._scored(answers) for answers in (before, after))
        return Trial(report, judge_variant.fn(*scores, evidence, GateSpec(), place_at(self.store)))

    def _answered(self, model: Subject) -> tuple[AnswersRef, ...]:
        shard = Shard(
            subject=model,
            tables=self.tables,
            asked=self.asked,
            compute=ON_CPU,
            number=0,
            place=place_at(self.store),
        )
        return answer_benchmarks.fn(shard)

    def _scored(self, answers: tuple[AnswersRef, ...]) -> tuple[ScoredRef, ...]:
        return tuple(
            score_answers.fn(table, (answer,), self.asked, place_at(self.store))
            for table, answer in zip(self.tables, answers, strict=True)
        )


class Trial(NamedTuple):
    """What was found out about a candidate, and the verdict."""

    report: FidelityReport
    judged: Judged

    def found(self, check: str) -> list[str]:
        """Return what came of a check, wherever it was made."""
        return [one.outcome for one in self.judged.verdict.reasons if one.check == check]


def draw(root: Path, kind: str, path: Path, count: int) -> CalibrationRef:
    """Draw samples from a generated set."""
    asked = {"name": kind.replace("_", "-"), "kind": kind, "source": str(path), "nsamples": count}
    spec = CalibrationSpec.model_validate(asked | {"seqlen": 256, "seed": 42})
    return collect_samples.fn(spec, subject("16bits", MODEL_DIR).source, place_at(root / "store"))


def a_court(root: Path, seed: int, sizes: BenchmarkSizes) -> Court:
    """Write questions of a seed, and text that nobody learns from."""
    write_benchmarks(root / "tables", seed=seed, sizes=sizes)
    asked = BenchmarksSpec(names=NAMES, source=str(root / "tables"), fidelity_prompts=96)
    text = write_text_set(root / "held_out.jsonl", count=8, seed=2002)
    tables = find_benchmarks.fn(asked, root / "cache")
    return Court(root / "store", asked, tables, draw(root, "text", text, 8))


@pytest.fixture(scope="module")
def two_bits(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Return the demo model rounded to nearest with 2 bits, groups as large as its recipe's."""
    folder = tmp_path_factory.mktemp("coarse")
    return subject("coarse", write_export(MODEL_DIR, folder, IntGrid(bits=2))["auto_round"])


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Court:
    """Return more questions, from which small differences can be told."""
    return a_court(tmp_path_factory.mktemp("court"), 1, MORE)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_two_bits_rounded_to_nearest_fail_whatever_is_asked(
    two_bits: Subject, tmp_path: Path, seed: int
) -> None:
    """Not narrowly: on text and on questions they are far beyond what 4 bits can do.

    The scores alone would not tell: on some questions 2 bits lose nothing.
    """
    trial = a_court(tmp_path, seed, FEW).judge(two_bits, round_to_nearest=True)
    limit = GateSpec().kl_int4

    assert trial.judged.verdict.outcome == "fail"
    assert trial.found("int4") == ["fail", "fail"]
    for told in (trial.report.text, trial.report.prompts):
        assert told is not None
        assert told.times_int4 is not None
        assert told.times_int4.low > 2 * limit


def test_the_16_bit_model_passes_against_itself(court: Court) -> None:
    """No difference, no flips, and no divergence on text or questions: exactly none."""
    trial = court.judge(subject("itself", MODEL_DIR))
    comparison = trial.judged.comparison

    assert trial.judged.verdict.outcome == "pass"
    for one in (comparison.average, *comparison.tasks):
        assert (one.difference, one.interval) == (0, Interval(low=0, high=0, lower=0, upper=0))
    assert {task.flips.rate for task in comparison.tasks} == {0}
    for told in (trial.report.text, trial.report.prompts):
        assert told is not None
        assert (told.mean_kl, told.p99_kl, told.top1_agreement) == (0, 0, 1)


def test_four_bits_that_were_learned_pass(court: Court, tmp_path: Path) -> None:
    """With a fifth of the demo's iterations and a quarter of its samples."""
    talk = write_conversation_set(tmp_path / "talk", count=64, seed=7)
    source = subject("16bits", MODEL_DIR).source
    plan = SegmentPlan(
        variant="llava",
        source=source,
        calibration=draw(tmp_path, "image_text", talk, 32),
        quantization=LEARNED,
        compute=ON_CPU,
        first_block=0,
        end_block=6,
        blocks=6,
        place=place_at(tmp_path / "store"),
    )
    export = ExportSpec(formats=("auto_round",), output_dir=tmp_path / "out")
    made = export_checkpoint.fn(
        source, quantized(plan), LEARNED, export, {"variant": "llava"}, plan.place
    )

    trial = court.judge(subject("llava", made.folders["auto_round"]))

    assert trial.judged.verdict.outcome == "pass"
    assert trial.found("fidelity") == ["pass"]
    assert trial.found("int4") == ["pass", "pass"]
