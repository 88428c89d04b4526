"""Every fact that a model card tells, on one page.

The card is a function of these facts and of nothing else, and they are published beside it as
`release.json`: whoever doubts a number of the card finds it there, in full.  From the same file a
later run promotes a candidate without computing anything again, and the publisher knows that a
repository is one of ours.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from infra.calibration.spec import Kind
from infra.card.scores import EvaluationFacts
from infra.card.value import Value
from infra.checkpoints.plan import Format
from infra.errors import ReleaseFileError

On = Literal["text", "questions"]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Tool(Value):
    """What made the release."""

    name: Literal["roundhouse"] = Field(
        default="roundhouse", description="By which it is known as ours."
    )
    version: str = Field(description="Version of the package.")


class SourceFacts(Value):
    """The 16-bit model."""

    name: str = Field(description="Its repository, or what it is called where it is a folder.")
    repo_id: str | None = Field(default=None, description="Its repository on the Hub.")
    commit: Commit | None = Field(default=None, description="The commit that was quantized.")
    digest: Sha256 = Field(description="SHA-256 over all files that were read.")
    architecture: str = Field(description="Class that runs it, as its config says.")
    license: str | None = Field(default=None, description="As its own card says.")
    license_name: str | None = Field(default=None, description="Name of a licence called other.")
    license_link: str | None = Field(default=None, description="Where that licence is.")
    languages: tuple[str, ...] = Field(default=(), description="As its own card says.")
    weight_bytes: int = Field(ge=0, description="Bytes of its weights.")


class MethodFacts(Value):
    """How weights were rounded."""

    bits: int = Field(description="Bits a weight.")
    group_size: int = Field(description="Weights that share one scale; -1: one scale a row.")
    symmetric: bool = Field(description="Zero sits on the middle code.")
    iters: int = Field(ge=0, description="Steps a block; 0: rounded to nearest.")
    batch_size: int = Field(ge=1, description="Samples a step.")
    step: float | None = Field(description="Length of the first step, in codes; None: no steps.")
    seed: int = Field(description="Chooses the samples of each step.")
    segments: int = Field(ge=1, description="Runs of blocks that were learned independently.")


class KeptPart(Value):
    """A part of the model that stays as it was."""

    part: str = Field(description="What it is.")
    tensors: int = Field(ge=1, description="Tensors of it.")
    parameters: int = Field(ge=0, description="Numbers in them.")
    dtypes: tuple[str, ...] = Field(description="Their precision.")


class WeightFacts(Value):
    """What of a checkpoint is quantized, and what is not."""

    modules: int = Field(ge=0, description="Linear layers that are packed.")
    packed_parameters: int = Field(ge=0, description="Weights in them.")
    parameters: int = Field(ge=0, description="Parameters of the whole model.")
    kept: tuple[KeptPart, ...] = Field(description="All the rest.")


class FormatFacts(Value):
    """One published checkpoint."""

    format: Format = Field(description="How it is laid out.")
    weight_bytes: int = Field(ge=0, description="Bytes of its safetensors files.")
    files: int = Field(ge=1, description="Files of the export, this one and the card not counted.")


class VerificationFacts(Value):
    """What reading one checkpoint back has shown before it was published."""

    format: Format = Field(description="The checkpoint.")
    modules: int = Field(ge=0, description="Linear layers that were found packed.")
    codes_equal: bool | None = Field(description="Unpacking gives back every code.")
    text_logit_error: float | None = Field(
        description="Largest difference of logits on a text prompt, as a share of the largest."
    )
    image_logit_error: float | None = Field(description="The same on an image prompt.")
    logit_tolerance: float = Field(ge=0, description="What would still have been accepted.")


class DataFile(Value):
    """A local file that calibration rows came from."""

    name: str = Field(description="Its name, without the folder that it was in.")
    bytes: int = Field(ge=0, description="Its size.")
    sha256: Sha256 = Field(description="Its digest.")


class CalibrationFacts(Value):
    """A calibration set as it was drawn."""

    name: str = Field(description="Name of the set, and of its variant.")
    kind: Kind = Field(description="Kind of its rows.")
    source: str = Field(description="Data set on the Hub, or name of a file or folder.")
    repo_id: str | None = Field(default=None, description="The data set, if it is on the Hub.")
    revision: str | None = Field(default=None, description="Hub: the commit.")
    files: tuple[DataFile, ...] = Field(default=(), description="Local: the files.")
    licence: str | None = Field(default=None, description="Its licence, where known.")
    nsamples: int = Field(ge=1, description="Samples.")
    seqlen: int = Field(ge=1, description="Tokens a sample, or at most so many.")
    seed: int = Field(description="Seed of the order.")
    tokens: int = Field(ge=1, description="Tokens of all samples.")
    images: int = Field(ge=0, description="Samples with a picture.")
    skipped: int = Field(ge=0, description="Rows that were looked at and left out.")
    samples_sha256: Sha256 = Field(description="Digest over all samples, in order.")
    images_sha256: Sha256 | None = Field(
        default=None, description="Digest over the digests of their pictures, in order."
    )


class BlockFacts(Value):
    """What became of one block."""

    block: int = Field(ge=0, description="Index of the block, from 0.")
    loss_before: float | None = Field(description="Held-out error of round-to-nearest.")
    loss_after: float | None = Field(description="The same error of what was kept.")
    chosen_iteration: int = Field(ge=0, description="The step kept; 0: round-to-nearest.")
    fallback: str | None = Field(description="Why it was left rounded to nearest, if so.")


class FidelityFacts(Value):
    """How near a variant's predictions stay to the 16-bit model's, token by token."""

    variant: str = Field(description="The variant.")
    on: On = Field(description="What was predicted.")
    samples: int = Field(ge=1, description="Texts, or questions with their answers.")
    tokens: int = Field(ge=1, description="Predicted tokens.")
    perplexity_16bit: float = Field(description="Perplexity of the 16-bit model.")
    perplexity_int4: float = Field(description="Perplexity of the variant.")
    mean_kl: float = Field(description="Mean KL divergence, nats a token.")
    mean_kl_low: float = Field(description="Lower end of its 95 % interval.")
    mean_kl_high: float = Field(description="Upper end of it.")
    mean_kl_rtn: float | None = Field(description="That of round-to-nearest on the same tokens.")
    p99_kl: float = Field(description="KL divergence that 99 % of the tokens stay below.")
    top1_percent: float = Field(description="Percent of tokens with the same most likely token.")


class Sample(Value):
    """One question, and what both models answered."""

    picture: str = Field(description="The picture's file in the repository.")
    sha256: Sha256 = Field(description="Digest of that file.")
    benchmark: str = Field(description="Where the question is from.")
    index: int = Field(description="Its row there.")
    question: str = Field(description="The text after the picture, as it was put.")
    int4: str = Field(description="What the quantized model answered.")
    int4_capped: bool = Field(description="That answer was cut at the longest length.")
    full: str = Field(description="What the 16-bit model answered.")
    full_capped: bool = Field(description="That answer was cut at the longest length.")


class GenerationFacts(Value):
    """Answers of both models to the same questions, and how they were decoded."""

    decoding: Literal["greedy"] = Field(default="greedy", description="Always the likeliest token.")
    max_new_tokens: int = Field(ge=1, description="Longest answer.")
    engine: dict[str, str | int] = Field(description="What answered, with its settings.")
    samples: tuple[Sample, ...] = Field(description="The questions.")


class ApprovalFacts(Value):
    """That a person let the release go on where the gate was not sure."""

    by: str = Field(description="Who, as they called themselves.")
    reason: str = Field(description="Why, in their words.")


class LoaderFacts(Value):
    """What reads a format, as it was tested."""

    format: Format = Field(description="The format.")
    packages: dict[str, str] = Field(description="Packages to install, with the version tested.")


class Publication(Value):
    """Under which names the release can be had; the revision that tells it is one of two."""

    format: Format = Field(description="The format of the revision that this is told in.")
    repo_id: str = Field(description="Repository of the auto_round checkpoint.")
    branch: str = Field(description="Its branch.")
    version: str = Field(description="Its tag.")
    gptq_repo_id: str = Field(description="Repository of the auto_gptq checkpoint.")
    gptq_branch: str = Field(description="Its branch.")
    gptq_tag: str = Field(description="Its tag.")
    gptq_commit: Commit | None = Field(
        description="Its commit.  None in its own revision: a commit cannot contain itself."
    )
    gptq_short: str | None = Field(description="The first digits of that commit.")


class ReleaseFacts(Value):
    """All that is known of one release."""

    layout: Literal[1] = Field(default=1, description="Layout of this file.")
    tool: Tool = Field(description="What made it.")
    name: str = Field(description="What the recipe is called.")
    variant: str = Field(description="The variant that is released.")
    published: Publication | None = Field(
        default=None, description="Under which names; None: not published yet."
    )
    source: SourceFacts = Field(description="The 16-bit model.")
    method: MethodFacts = Field(description="How weights were rounded.")
    weights: WeightFacts = Field(description="What is quantized, and what is not.")
    formats: tuple[FormatFacts, ...] = Field(min_length=1, description="The checkpoints.")
    loaders: tuple[LoaderFacts, ...] = Field(description="What reads them.")
    verification: tuple[VerificationFacts, ...] = Field(
        default=(), description="What reading them back has shown."
    )
    calibration: tuple[CalibrationFacts, ...] = Field(description="One a variant, if it learned.")
    blocks: tuple[BlockFacts, ...] = Field(description="What became of each block.")
    evaluation: EvaluationFacts | None = Field(default=None, description="Benchmarks.")
    fidelity: tuple[FidelityFacts, ...] = Field(default=(), description="Token by token.")
    approval: ApprovalFacts | None = Field(default=None, description="Who let it go on.")
    generations: GenerationFacts | None = Field(default=None, description="Sample answers.")
    environment: dict[str, str] = Field(description="Versions of what had a say in it.")
    held_out: CalibrationFacts | None = Field(
        default=None, description="The text that predictions were compared on."
    )
    recipe: dict[str, JsonValue] = Field(description="What was asked for, without places.")
    local_files: tuple[str, ...] = Field(
        default=(), description="Files and folders that the recipe finds beside itself."
    )
    signed: bool = Field(default=False, description="Whether a signature lies beside the files.")

    def published_as(self, publication: Publication) -> Self:
        """Return the same facts under these names."""
        return self.model_copy(update={"published": publication})

    def format(self, kind: Format) -> FormatFacts:
        """Return what is known of one format."""
        return next(each for each in self.formats if each.format == kind)

    def loader(self, kind: Format) -> LoaderFacts:
        """Return what reads a format."""
        return next(each for each in self.loaders if each.format == kind)

    @property
    def calibrated_on(self) -> CalibrationFacts | None:
        """The set of the released variant; None: it learned from nothing."""
        return next((each for each in self.calibration if each.name == self.variant), None)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        formats = {each.format for each in self.formats}
        if missing := formats - {each.format for each in self.loaders}:
            message = f"no loader is known for {', '.join(sorted(missing))}"
            raise ValueError(message)
        judged = () if self.evaluation is None else self.evaluation.variants
        if judged and self.variant not in judged:
            message = f"{self.variant!r} is released, but {', '.join(judged)} were evaluated"
            raise ValueError(message)
        return self


def as_json(facts: ReleaseFacts) -> bytes:
    """Return `release.json`: the same facts, the same bytes."""
    return (facts.model_dump_json(indent=1) + "\n").encode()


def read_facts(data: bytes, where: str) -> ReleaseFacts:
    """Return what a `release.json` tells.

    Args:
        data: The file.
        where: What to call it in an error.

    Raises:
        ReleaseFileError: It is none, or one of another layout.
    """
    try:
        return ReleaseFacts.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "the file"
    raise ReleaseFileError(
        f"{where} tells of no release that this version of Roundhouse can read: {place}: "
        f"{first['msg']}. Take the file of a release as it was published, or the version of "
        "Roundhouse that wrote it."
    )
