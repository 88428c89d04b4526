"""All that a run can be asked for, on one page.

A recipe is data: the same recipe gives the same bytes, and what is not in here cannot be asked for.
Unknown keys are refused, every value is checked before anything starts, and a test lists the
fields, so that a new knob is a decision and not a drift.  `flows.recipefile` reads one from YAML.
"""

import re
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field, ValidationError, field_validator, model_validator

from infra.calibration.spec import CalibrationSpec
from infra.checkpoints.plan import FORMATS
from infra.demo import MODEL_DIR
from infra.errors import TagPatternError
from infra.evaluation.verdict import GateSpec
from infra.publishing.target import RefName, RepositoryId, Target
from infra.store import Place, StoreAddress
from infra.triggers.pattern import TagPattern
from tasks.evalspecs import BenchmarksSpec
from tasks.specs import ComputeSpec, ExportSpec, Name, QuantizationSpec, Spec, WorkersSpec

REVISION = r"^[A-Za-z0-9_]+(?:(?:[./]|-+)[A-Za-z0-9_]+)*$"  # what git lets a name or a commit be
REPO_ID = r"^[A-Za-z0-9][\w.-]*/[\w.-]+$"
ENDPOINT = r"^(local|https?://[^\s]+)$"
TOKEN_SOURCE = r"^(environment|block:[a-z0-9-]+|file:.+)$"  # noqa: S105 -- where, not what
WatchedAs = Literal["source", "staging"]
DEMO_MODEL = "packaged:demo"
ROUND_TO_NEAREST = "rtn"
COLUMNS = ("16bits", "task")  # of the table in which each variant has one, too


class ModelSpec(Spec):
    """Which 16-bit model is quantized."""

    source: str = Field(
        min_length=1,
        description="A folder, a Hub id, s3://bucket/prefix (its weights are streamed, by the "
        "options of `store`), or packaged:demo (the model that Roundhouse carries).",
    )
    revision: str | None = Field(
        default=None,
        pattern=REVISION,
        max_length=200,
        description="Branch, tag or commit on the Hub; it is resolved to a commit once.",
    )

    @property
    def location(self) -> str:
        """The folder or Hub id that ``source`` stands for."""
        return str(MODEL_DIR) if self.source == DEMO_MODEL else self.source

    @property
    def repository(self) -> str | None:
        """The Hub id, if ``source`` is one; a folder of that name wins over a repository."""
        is_name = re.fullmatch(REPO_ID, self.source) is not None
        return self.source if is_name and not Path(self.source).is_dir() else None


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
    """Where the variant that passes the gate goes."""

    repo_id: RepositoryId = Field(description="Hub repository, as owner/name.")
    private: bool = Field(default=True, description="Whether only its owners see it.")
    endpoint: str | None = Field(
        default=None,
        pattern=ENDPOINT,
        description="Address of the Hub; local: one on this machine, which the command starts; "
        "nothing: HF_ENDPOINT, or else huggingface.co.",
    )
    branch: RefName = Field(default="main", description="Branch of the auto_round checkpoint.")
    gptq_branch: RefName = Field(
        default="auto_gptq", description="Branch of the auto_gptq checkpoint."
    )
    gptq_repo_id: RepositoryId | None = Field(
        default=None,
        description="A second repository for the auto_gptq checkpoint; nothing: a branch.",
    )
    tag: RefName = Field(
        default="v1.0.0",
        description="Version: the tag of the release.  It never moves; what has changed needs "
        "another.",
    )
    token: str = Field(
        default="environment",
        pattern=TOKEN_SOURCE,
        description="Where the token is found: environment (HF_TOKEN, or hf auth login), "
        "block:NAME (a Secret block of Prefect's) or file:PATH.  Never the token itself.",
    )
    signing_key: Path | None = Field(
        default=None, description="Private key (PEM) that signs the release; nothing: unsigned."
    )

    @model_validator(mode="after")
    def _is_a_target(self) -> "PublishSpec":
        try:
            self.target(None)
        except ValidationError as error:
            told = error.errors(include_url=False)[0]["msg"]
            raise ValueError(told.removeprefix("Value error, ")) from error
        return self

    def target(self, endpoint: str | None) -> Target:
        """Return where a release goes, on the Hub at ``endpoint``; None: the client's own."""
        return Target(
            endpoint=endpoint,
            repo_id=self.repo_id,
            private=self.private,
            branch=self.branch,
            gptq_branch=self.gptq_branch,
            gptq_repo_id=self.gptq_repo_id,
            version=self.tag,
        )


class ReleaseSpec(Spec):
    """Which tags, set by whom they may, start a release."""

    source: RepositoryId | None = Field(
        default=None,
        description="16-bit repository whose tagged commit is quantized and released; nothing: "
        "that of the model, if it is on the Hub.",
    )
    staging: RepositoryId | None = Field(
        default=None,
        description="Repository of quantized candidates, on the Hub that is published to: what "
        "is tagged there is verified, judged and published as it is.",
    )
    pattern: str = Field(
        default="release/*",
        description="Tags that count, with one * for the version: release/v1.2.0 releases v1.2.0.",
    )

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            TagPattern.parse(pattern)
        except TagPatternError as error:
            raise ValueError(str(error).removesuffix(".")) from error
        return pattern


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
    workers: WorkersSpec = Field(
        default=WorkersSpec(), description="Who does the heavy work: this process, or a pool."
    )
    store: StoreAddress = Field(
        default=StoreAddress(), description="Where finished work is kept, and found again."
    )
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
        default=None, description="Where the result is published; nothing: it stays here."
    )
    release: ReleaseSpec = Field(
        default=ReleaseSpec(), description="Which tags start a release of this recipe."
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

    @model_validator(mode="after")
    def _a_release_is_a_pair(self) -> "Recipe":
        if self.publish is not None and set(self.export.formats) != set(FORMATS):
            msg = (
                f"publish needs both formats, {' and '.join(FORMATS)}, and export.formats has only "
                f"{', '.join(self.export.formats)}"
            )
            raise ValueError(msg)
        return self

    def at(self, workspace: Path) -> Place:
        """Return where a run of it keeps its work, on this machine."""
        return Place.of(workspace, self.store)

    @property
    def own_compute(self) -> ComputeSpec:
        """Where the process of the run itself computes: a pool's GPUs are for its workers."""
        if self.workers.pool is None:
            return self.compute
        return self.compute.model_copy(update={"device": "auto"})

    @property
    def target(self) -> str:
        """Where its outcome goes: a repository, or a folder.  One run at a time goes there."""
        if self.publish is not None:
            return f"{self.publish.repo_id} at {self.publish.endpoint or 'the Hub'}"
        return str(self.export.output_dir.absolute())

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
    def watched(self) -> dict[str, WatchedAs]:
        """Each repository whose tags start a release, and what a tag there names."""
        if self.publish is None:
            return {}
        source = self.release.source or self.model.repository
        found: dict[str, WatchedAs] = {} if source is None else {source: "source"}
        return found if self.release.staging is None else {**found, self.release.staging: "staging"}


def _inside(export: ExportSpec, folder: str) -> ExportSpec:
    """Return ``export`` with its output one folder deeper."""
    return export.model_copy(update={"output_dir": Path(export.output_dir) / folder})
