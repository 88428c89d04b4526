"""What an evaluation is asked for, and what its steps hand on: frozen values, as in `specs`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from infra.evaluation.benchmark import Benchmark, BenchmarkName
from infra.evaluation.compared import Comparison, Interval
from infra.evaluation.rules import DEFAULT_RULES
from infra.evaluation.verdict import GateSpec, Verdict
from infra.models.source import ModelSource
from infra.store import ArtifactRef, Place
from tasks.specs import CalibrationRef, ComputeSpec, Spec, WorkersSpec, WorkPlan


class BenchmarksSpec(Spec):
    """Which benchmarks judge the result, and how they are asked and counted."""

    names: tuple[BenchmarkName, ...] = Field(min_length=1, description="Benchmarks, by name.")
    source: str | None = Field(
        default=None,
        description="A folder of TSV files, here or as s3://bucket/prefix; None: the published "
        "ones, downloaded once.",
    )
    rules: str = Field(
        default=DEFAULT_RULES, description="Rule set: how answers are read and counted."
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        description="Only the first so many questions of each: a quick look, not a result.",
    )
    engine: Literal["transformers", "vllm"] = Field(
        default="transformers", description="What generates the answers, for all models alike."
    )
    mode: Literal["shared_prefix", "batched", "one_by_one"] = Field(
        default="shared_prefix",
        description="transformers: compute each image once for all its questions, pad questions "
        "into batches, or ask one at a time.",
    )
    loader: Literal["own", "client"] = Field(
        default="own",
        description="Who reads a checkpoint under test: our own dequantizing reader, or "
        "transformers with whatever kernels are installed.",
    )
    image_path: Literal["vlmevalkit", "direct"] = Field(
        default="vlmevalkit",
        description="vlmevalkit: save each image as JPEG once more, as VLMEvalKit does; direct: "
        "take it as it is.",
    )
    max_new_tokens: int = Field(
        default=64, ge=1, description="Longest answer; the share of answers cut there is told."
    )
    batch_size: int = Field(
        default=32, ge=1, description="Most questions in a forward pass; halved if memory is short."
    )
    shards: int = Field(
        default=1, ge=1, description="Parts, cut by image, that are answered as tasks of their own."
    )
    parallel: int = Field(
        default=2, ge=1, description="Models or shards that are answered at the same time."
    )
    fidelity_prompts: int = Field(
        default=256,
        ge=0,
        description="Questions on which the predictions of both models are compared token by "
        "token, along the 16-bit model's answer.",
    )


class Subject(Spec):
    """A model that is examined: the 16-bit one, or an exported checkpoint."""

    name: str = Field(description="What its column is called.")
    source: ModelSource = Field(description="Its files, and their digest.")


class TableRef(Spec):
    """A benchmark's table on this machine."""

    benchmark: Benchmark = Field(description="How it is asked and counted.")
    path: Path = Field(description="The TSV file.")
    sha256: str = Field(description="Digest of the file.")
    rows: int = Field(ge=1, description="Rows of the file.")
    questions: int = Field(ge=1, description="Questions that are asked.")
    dropped: int = Field(ge=0, description="Rows without an image, which are not asked.")
    notes: tuple[str, ...] = Field(default=(), description="What a reader should know.")


class AnswersRef(Spec):
    """One model's answers to one shard of a benchmark, in the store."""

    benchmark: str = Field(description="Name of the benchmark.")
    ref: ArtifactRef = Field(description="JSON lines, one an answer, by index.")
    engine: dict[str, str | int] = Field(description="What answered, with its settings.")
    computed: int = Field(ge=0, description="Answers computed by this run.")
    reused: int = Field(ge=0, description="Answers that were on record.")
    seconds: float = Field(ge=0, description="Wall-clock seconds.")

    def found(self) -> Self:
        """Return them as a run has them that asked nothing."""
        every = self.computed + self.reused
        return self.model_copy(update={"computed": 0, "reused": every, "seconds": 0.0})


class ScoredRef(Spec):
    """One model's scores on one benchmark, in the store."""

    benchmark: str = Field(description="Name of the benchmark.")
    ref: ArtifactRef = Field(description="Every row with what was read in it and its score; JSON.")
    overall: float = Field(description="The number of the table, in points.")
    rows: int = Field(ge=1, description="Rows that were scored.")


class Judged(Spec):
    """What became of a variant beside its 16-bit model."""

    comparison: Comparison = Field(description="Differences with intervals, flips and p values.")
    verdict: Verdict = Field(description="Whether it may be released, and why.")


class Divergence(Spec):
    """How near a quantized model's predictions stay to the 16-bit model's on one held-out set."""

    samples: int = Field(ge=1, description="Texts, or questions with their answers.")
    tokens: int = Field(ge=1, description="Predicted tokens.")
    perplexity_16bit: float = Field(description="Perplexity of the 16-bit model.")
    perplexity_int4: float = Field(description="Perplexity of the quantized model.")
    mean_kl: float = Field(description="Mean KL divergence from the 16-bit model, nats a token.")
    mean_kl_interval: Interval = Field(description="Of that mean, had other samples been drawn.")
    p99_kl: float = Field(description="KL divergence that 99 % of the tokens stay below, nats.")
    p99_kl_interval: Interval = Field(description="Of that quantile.")
    top1_agreement: float = Field(ge=0, le=1, description="Share of tokens with the same top-1.")
    mean_kl_rtn: float | None = Field(
        default=None, description="Mean KL of round-to-nearest at the same bits and group size."
    )
    less_than_rtn: Interval | None = Field(
        default=None, description="Of mean KL less that of round-to-nearest, on the same samples."
    )
    mean_kl_int4: float | None = Field(
        default=None, description="Mean KL of round-to-nearest with 4 bits at the same group size."
    )
    times_int4: Interval | None = Field(
        default=None, description="Of mean KL as a multiple of that, on the same samples."
    )

    @property
    def perplexity_ratio(self) -> float:
        """Perplexity of the quantized model as a multiple of the 16-bit model's."""
        return self.perplexity_int4 / self.perplexity_16bit


class BlockNoise(Spec):
    """How much of a block's output is noise, on the samples of the comparison."""

    block: int = Field(ge=0, description="Index of the block, from 0.")
    sqnr_db: float | None = Field(description="Signal to noise, in dB; None: no noise at all.")


class FidelityReport(Spec):
    """All that comparing predictions has shown of one variant."""

    text: Divergence | None = Field(default=None, description="On held-out text.")
    prompts: Divergence | None = Field(
        default=None, description="On benchmark questions, along the 16-bit model's answers."
    )
    blocks: tuple[BlockNoise, ...] = Field(
        default=(), description="Signal to noise at the output of every block, in order."
    )

    @property
    def worst_blocks(self) -> tuple[BlockNoise, ...]:
        """The three blocks with the least signal to noise, worst first."""
        noisy = [block for block in self.blocks if block.sqnr_db is not None]
        return tuple(sorted(noisy, key=lambda block: block.sqnr_db or 0.0)[:3])


class FidelityPlan(WorkPlan):
    """What is compared with the 16-bit model, and on what."""

    baseline: Subject = Field(description="The 16-bit model.")
    candidates: tuple[Subject, ...] = Field(description="Exported checkpoints.")
    text: ArtifactRef | None = Field(description="Held-out samples in the store.")
    tables: tuple[TableRef, ...] = Field(default=(), description="Benchmarks of the questions.")
    answers: tuple[AnswersRef, ...] = Field(
        default=(), description="The 16-bit model's answers to them."
    )
    asked: BenchmarksSpec | None = Field(default=None, description="How they are put.")
    compute: ComputeSpec = Field(description="Where, and with how much memory.")


class EvaluationPlan(Spec):
    """What one evaluation is to do."""

    name: str = Field(description="What the run is called.")
    baseline: Subject | None = Field(description="The 16-bit model; None: scores alone.")
    candidates: tuple[Subject, ...] = Field(description="Checkpoints under test.")
    round_to_nearest: frozenset[str] = Field(
        default=frozenset(), description="Candidates that learned nothing, by name."
    )
    asked: BenchmarksSpec | None = Field(description="Benchmarks; None: held-out text alone.")
    tables: tuple[TableRef, ...] = Field(default=(), description="The benchmarks' tables.")
    text: CalibrationRef | None = Field(default=None, description="Held-out samples.")
    gate: GateSpec = Field(default=GateSpec(), description="What a candidate may lose.")
    compute: ComputeSpec = Field(description="Where, and with how much memory.")
    workers: WorkersSpec = Field(
        default=WorkersSpec(), description="Who answers: this process, or a pool."
    )
    place: Place = Field(description="Where work is kept, and found again.")
    results: Path | None = Field(
        default=None, description="Folder that gets evaluation.json and evaluation.md."
    )

    @property
    def title(self) -> str:
        """What the run is called where people read it."""
        return f"{self.name}: evaluate {', '.join(each.name for each in self.subjects)}"

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """All models, the 16-bit one first."""
        return (*(() if self.baseline is None else (self.baseline,)), *self.candidates)

    @model_validator(mode="after")
    def _names_differ(self) -> "EvaluationPlan":
        names = [each.name for each in self.subjects]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"two models are called {', '.join(twice)}; give each a name of its own"
            raise ValueError(msg)
        return self
