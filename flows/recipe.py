"""All that a run can be asked for, on one page.

A recipe is data: the same recipe gives the same bytes, and what is not in here cannot be asked for.
Unknown keys are refused, every value is checked before anything starts, and a test lists the
fields, so that a new knob is a decision and not a drift.  `flows.recipefile` reads one from YAML.
"""

from pathlib import Path
from typing import NamedTuple

from pydantic import Field, model_validator

from infra.calibration.spec import CalibrationSpec
from infra.demo import MODEL_DIR
from infra.evaluation.verdict import GateSpec
from tasks.evalspecs import BenchmarksSpec
from tasks.specs import ComputeSpec, ExportSpec, Name, QuantizationSpec, Spec

REPO_ID = r"^[A-Za-z0-9][\w.-]*/[\w.-]+$"
REF_NAME = r"^[A-Za-z0-9][\w.-]*$"
DEMO_MODEL = "packaged:demo"
ROUND_TO_NEAREST = "rtn"
COLUMNS = ("16bits", "task")  # of the table in which each variant has one, too


class ModelSpec(Spec):
    """Which 16-bit model is quantized."""

    source: str = Field(
        min_length=1,
        description="A folder, a Hub id, or packaged:demo (the model that Roundhouse carries).",
    )
    revision: str | None = Field(
        default=None,
        description="Branch, tag or commit on the Hub; it is resolved to a commit once.",
    )

    @property
    def location(self) -> str:
        """The folder or Hub id that ``source`` stands for."""
        return str(MODEL_DIR) if self.source == DEMO_MODEL else self.source


class EvaluationSpec(Spec):
    """How the quantized model is compared with the 16-bit one."""

    text: CalibrationSpec | None = Field(
        default=None,
        description="Held-out text for perplexity, KL divergence and top-1 agreement.",
    )


class ApprovalSpec(GateSpec):
    """What a variant may lose against the 16-bit model, and who decides where that is not clear."""

    hold_minutes: int = Field(
        default=0,
        ge=0,
        description="Minutes that a run which is held waits for a person's approval on its page; "
        "0: it ends as held.",
    )


class PublishSpec(Spec):
    """Where the result goes.  Checked now; carried out by a later version."""

    repo_id: str = Field(pattern=REPO_ID, description="Hub repository, as owner/name.")
    private: bool = Field(default=True, description="Whether only its owners see it.")
    branch: str = Field(
        default="main", pattern=REF_NAME, description="Branch of the auto_round checkpoint."
    )
    gptq_branch: str = Field(
        default="auto_gptq", pattern=REF_NAME, description="Branch of the auto_gptq checkpoint."
    )
    tag: str | None = Field(
        default=None, pattern=REF_NAME, description="Tag set on the release, once it is verified."
    )


class Variant(NamedTuple):
    """One quantized model that a recipe asks for."""

    name: str
    calibration: CalibrationSpec | None  # None: round-to-nearest, which learns from nothing
    export: ExportSpec


class Recipe(Spec):
    """One recipe: a model in, one verified pair of checkpoints out for every variant."""

    name: Name = Field(description="What the run is called: lowercase letters, digits, . _ -")
    model: ModelSpec = Field(description="Which model is quantized.")
    calibration: tuple[CalibrationSpec, ...] = Field(
        default=(), description="The sets that rounding is learned on; each gives one variant."
    )
    quantization: QuantizationSpec = Field(
        default=QuantizationSpec(), description="How weights are rounded."
    )
    export: ExportSpec = Field(description="Which checkpoints are written, and where.")
    compute: ComputeSpec = Field(default=ComputeSpec(), description="Where the arithmetic runs.")
    evaluation: EvaluationSpec = Field(
        default=EvaluationSpec(), description="How the result is compared with the 16-bit model."
    )
    benchmarks: BenchmarksSpec | None = Field(
        default=None, description="Which benchmarks judge the result, and how they are asked."
    )
    gate: ApprovalSpec = Field(
        default=ApprovalSpec(), description="What a variant may lose on them before it is refused."
    )
    publish: PublishSpec | None = Field(
        default=None, description="Where the result is published (not done yet)."
    )

    @model_validator(mode="after")
    def _calibration_fits(self) -> "Recipe":
        names = [spec.name for spec in self.calibration]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"calibration names {', '.join(twice)} twice; each set is one variant"
            raise ValueError(msg)
        if taken := sorted(set(COLUMNS).intersection(names)):
            msg = f"calibration is called {taken[0]}, as another column of the results is"
            raise ValueError(msg)
        if self.quantization.iters > 0 and not names:
            msg = (
                f"quantization.iters is {self.quantization.iters}, and no calibration set is given "
                "to learn from; give one, or set iters to 0 for round-to-nearest"
            )
            raise ValueError(msg)
        return self

    @property
    def variants(self) -> tuple[Variant, ...]:
        """What is to be made: one variant a set, or plain round-to-nearest for iters 0.

        A single variant is written straight into `export.output_dir`; several get a folder each.
        """
        if self.quantization.iters == 0:
            return (Variant(ROUND_TO_NEAREST, None, self.export),)
        if len(self.calibration) == 1:
            return (Variant(self.calibration[0].name, self.calibration[0], self.export),)
        return tuple(
            Variant(spec.name, spec, _inside(self.export, spec.name)) for spec in self.calibration
        )

    @property
    def not_run(self) -> tuple[str, ...]:
        """Sections that are checked but that this version does not carry out."""
        sections = {"publish": self.publish}
        return tuple(name for name, section in sections.items() if section is not None)


def _inside(export: ExportSpec, folder: str) -> ExportSpec:
    """Return ``export`` with its output one folder deeper."""
    return export.model_copy(update={"output_dir": Path(export.output_dir) / folder})
