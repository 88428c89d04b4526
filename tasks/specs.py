"""What a step is asked for, and what it hands on: small frozen values, checked where they are made.

Steps of the pipeline run in different processes and may run on different machines, so nothing
here holds a tensor: weights, samples and codes stay in the artifact store, and what moves is an
`ArtifactRef`, a digest with an address.  Every value survives a trip through JSON unchanged,
which is how Prefect stores what a step returned and how a recipe file says what a run should do.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from infra.models.source import ModelSource
from infra.store import ArtifactRef, Place
from tasks.versions import own_engine

Format = Literal["auto_round", "auto_gptq"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]


class Spec(BaseModel):
    """The base of every value that moves between steps: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WorkPlan(Spec):
    """What is said of any work that a worker may be handed."""

    place: Place = Field(description="Where work is kept, and found again.")
    engine: str = Field(
        default_factory=own_engine, description="The engine that is meant, and what it runs on."
    )


class QuantizationSpec(Spec):
    """How weights are rounded: the grid, and how long SignRound looks for a better rounding."""

    bits: Literal[2, 3, 4, 8] = Field(default=4, description="Bits a weight.")
    group_size: Literal[32, 64, 128, -1] = Field(
        default=128,
        description="Weights that share one scale, along the input; -1: one scale a row.",
    )
    symmetric: bool = Field(
        default=True, description="Zero sits on the middle code; false: each group has its own."
    )
    iters: int = Field(
        default=1000,
        ge=0,
        description="Steps of sign descent a block; 0 rounds to nearest and needs no samples.",
    )
    batch_size: int = Field(default=8, ge=1, description="Samples a step of sign descent.")
    lr: float | None = Field(
        default=None,
        gt=0,
        description="Step length at the start, in codes; it falls to 0.  None: 1 / iters.",
    )
    seed: int = Field(default=42, ge=0, description="Chooses the samples of each step.")
    segments: int = Field(
        default=1,
        ge=1,
        description="Runs of blocks that are quantized independently; 1 is the sequential method.",
    )
    seam: int = Field(
        default=0,
        ge=0,
        description="Steps that re-tune each block behind the first segment when all are done, "
        "with what the quantized blocks before it really give; 0: none.",
    )
    holdout: int = Field(
        default=32,
        ge=1,
        description="Samples kept aside, at most an eighth: the best step is chosen on them.",
    )


class ComputeSpec(Spec):
    """Where the arithmetic runs, and how much memory it may take."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="auto: the GPU if there is one, else the CPU."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="Precision of the forward pass; auto: bfloat16 on a GPU."
    )
    activation_gib: float = Field(
        default=8.0, gt=0, description="GiB of activations kept in memory; above it, in a file."
    )
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads of torch.  None: torch decides."
    )


class WorkersSpec(Spec):
    """Who does the heavy work: this process, or the workers of a pool, one for each GPU."""

    pool: Name | None = Field(
        default=None,
        description="Work pool whose workers quantize segments and answer benchmarks; nothing: "
        "this process does.",
    )
    resubmits: int = Field(
        default=3,
        ge=0,
        description="How often a piece of work is handed out again whose worker was lost.",
    )


class ExportSpec(Spec):
    """Which checkpoints are written, and where."""

    formats: tuple[Format, ...] = Field(
        default=("auto_round", "auto_gptq"),
        min_length=1,
        description="Checkpoint formats: auto_round, auto_gptq.",
    )
    output_dir: Path = Field(
        description="Each format becomes a folder in here; several variants get one folder each."
    )
    max_shard_gib: float = Field(default=2.0, gt=0, description="GiB of a weight file, at most.")

    @model_validator(mode="after")
    def _formats_are_distinct(self) -> "ExportSpec":
        if len(set(self.formats)) < len(self.formats):
            msg = f"formats names one twice: {', '.join(self.formats)}"
            raise ValueError(msg)
        return self


class CalibrationRef(Spec):
    """A calibration set in the store."""

    name: str = Field(description="The name of the set, which is the name of its variant.")
    ref: ArtifactRef = Field(description="The samples, one safetensors file.")
    report: dict[str, Any] = Field(description="Where they come from, and what they look like.")


class BlockRecord(Spec):
    """What is known of one quantized block."""

    block: int = Field(ge=0, description="Index of the block, from 0.")
    ref: ArtifactRef = Field(description="Codes, scales and zeros, one safetensors file.")
    loss_before: float | None = Field(
        description="Held-out error of round-to-nearest; None: no samples, or not finite."
    )
    loss_found: float | None = Field(
        default=None,
        description="The same error of the rounding that a seam began from; None: not re-tuned.",
    )
    loss_after: float | None = Field(description="The same error of what was kept.")
    chosen_iteration: int = Field(
        ge=0,
        description="The step kept; 0: what it began from, which is round-to-nearest "
        "or, where re-tuned, the rounding found before.",
    )
    fallback: str | None = Field(description="Why the block fell back to round-to-nearest, if so.")
    sqnr_db: float | None = Field(
        description="Signal to noise at the output, in dB; None: as above."
    )
    seconds: float = Field(ge=0, description="Wall-clock seconds when it was computed.")
    peak_bytes: int = Field(ge=0, description="Peak memory of the process or GPU, in bytes.")
    reused: bool = Field(description="It was in the store already, and was not computed again.")
    made_on: dict[str, str] | None = Field(
        default=None, description="The device and the precision that it was computed with."
    )


class SegmentPlan(WorkPlan):
    """One run of consecutive blocks of one variant: what a worker is handed."""

    variant: str = Field(description="The variant it belongs to.")
    source: ModelSource = Field(description="The 16-bit model.")
    calibration: CalibrationRef | None = Field(description="Its samples; None for iters 0.")
    quantization: QuantizationSpec = Field(description="How weights are rounded.")
    compute: ComputeSpec = Field(description="Where, and with how much memory.")
    first_block: int = Field(ge=0, description="First block, from 0.")
    end_block: int = Field(ge=1, description="One past the last block.")
    blocks: int = Field(ge=1, description="Blocks of the whole model, for display.")
    start: ArtifactRef | None = Field(
        default=None,
        description="16-bit states in front of the first block; None: run the model up to there.",
    )
    found: tuple[ArtifactRef, ...] | None = Field(
        default=None,
        description="Codes of all blocks up to the end: a seam re-tunes those of this run.",
    )

    @property
    def title(self) -> str:
        """What the run is called where people read it; blocks are counted from 1 there."""
        what = "blocks" if self.found is None else "seam, blocks"
        return f"{self.variant}: {what} {self.first_block + 1} to {self.end_block} of {self.blocks}"

    @model_validator(mode="after")
    def _is_a_run_of_blocks(self) -> "SegmentPlan":
        if not self.first_block < self.end_block <= self.blocks:
            msg = f"blocks {self.first_block}..{self.end_block} of {self.blocks} are no segment"
            raise ValueError(msg)
        if self.found is not None and len(self.found) != self.end_block:
            msg = f"a seam up to block {self.end_block} needs the codes of as many blocks"
            raise ValueError(msg)
        if (self.calibration is None) != (self.quantization.iters == 0):
            msg = "a segment has a calibration set exactly when iters is above 0"
            raise ValueError(msg)
        return self


class ExportRequest(Spec):
    """One export that is wanted, and what it must tell of how it came about."""

    export: ExportSpec = Field(description="Which checkpoints are written, and where.")
    provenance: dict[str, Any] = Field(
        description="What roundhouse.json tells; by it a finished export is known again."
    )


class ExportResult(Spec):
    """What was written for one variant."""

    variant: str = Field(description="The variant.")
    folders: dict[Format, Path] = Field(description="Each format's checkpoint folder.")
    seconds: float = Field(ge=0, description="Wall-clock seconds of the export.")
    bytes: int = Field(ge=0, description="Bytes on disk, files shared by both formats once.")

    def missing(self, wanted: ExportSpec) -> ExportSpec | None:
        """Return what of ``wanted`` is not here; None: nothing."""
        formats = tuple(kind for kind in wanted.formats if kind not in self.folders)
        return wanted.model_copy(update={"formats": formats}) if formats else None

    def joined(self, other: "ExportResult") -> "ExportResult":
        """Return both as one; they have no format in common."""
        return ExportResult(
            variant=self.variant,
            folders=self.folders | other.folders,
            seconds=self.seconds + other.seconds,
            bytes=self.bytes + other.bytes,
        )


def key_problems(
    missing: tuple[str, ...], unexpected: tuple[str, ...], mismatched: tuple[str, ...]
) -> tuple[str, ...]:
    """Return in words what a loader found wrong with the keys of a checkpoint."""
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", mismatched))
    return tuple(f"{len(keys)} tensors {what}, first {keys[0]}" for what, keys in kinds if keys)


class FolderChecks(Spec):
    """What reading one exported checkpoint back has shown."""

    quantized_modules: int = Field(ge=0, description="Linear layers found packed.")
    expected_modules: int = Field(ge=0, description="Linear layers that should be.")
    missing_keys: tuple[str, ...] = Field(description="Tensors that the model wants and lacks.")
    unexpected_keys: tuple[str, ...] = Field(description="Tensors that the model does not know.")
    mismatched_keys: tuple[str, ...] = Field(description="Tensors of another shape.")
    codes_equal: bool | None = Field(
        description="Unpacking gives back every code, bit for bit; None: could not be read."
    )
    text_logit_error: float | None = Field(
        description="Largest logit difference to the engine's own model on a text prompt, as a "
        "share of the largest logit; None: could not be compared."
    )
    image_logit_error: float | None = Field(description="The same on an image prompt.")
    logit_tolerance: float = Field(ge=0, description="The difference that is still accepted.")
    faults: tuple[str, ...] = Field(
        default=(), description="What else is wrong with its files, in words."
    )

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong, in words; nothing when the checkpoint is sound."""
        found = [*self.faults]
        found += key_problems(self.missing_keys, self.unexpected_keys, self.mismatched_keys)
        if self.quantized_modules != self.expected_modules:
            found.append(f"{self.quantized_modules} of {self.expected_modules} layers quantized")
        if self.codes_equal is False:
            found.append("unpacked codes differ from those that were learned")
        errors = (("text", self.text_logit_error), ("image", self.image_logit_error))
        found += [
            f"{kind} logits differ by {error:.3g} (accepted: {self.logit_tolerance:.3g})"
            for kind, error in errors
            if error is not None and not error <= self.logit_tolerance
        ]
        return tuple(found)


class VerifyReport(Spec):
    """What reading the exported checkpoints of one variant back has shown."""

    folders: dict[Format, FolderChecks] = Field(description="The checks of each format.")
    seconds: float = Field(default=0.0, ge=0, description="Wall-clock seconds of all checks.")

    @property
    def ok(self) -> bool:
        """Whether every check of every format passed."""
        return not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong, each with its format."""
        return tuple(f"{name}: {p}" for name, c in self.folders.items() for p in c.problems)
