"""What a calibration set is made of: enough to draw it again, and to see that it is the same.

No absolute path and no time of day goes in, so that the same data at another place gives the same
report, and nothing about the machine leaks into a published checkpoint.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from infra.calibration.spec import Kind

_TEXT_BACKENDS = ("datasets", "tokenizers", "torch", "transformers")
_IMAGE_BACKENDS = ("pillow", "torchvision")
_BINS = 8


class SourceFile(BaseModel):
    """A local file that rows were read from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Path below the source folder, or the file's name.")
    bytes: int = Field(description="Size of the file.")
    sha256: str = Field(description="Digest of the file.")


class Origin(BaseModel):
    """Where rows come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: Literal["local", "hub"] = Field(description="Which kind of place.")
    source: str = Field(description="Hub id, or name of the local file or folder.")
    revision: str | None = Field(default=None, description="Hub: the commit, 40 hex digits.")
    files: tuple[SourceFile, ...] = Field(default=(), description="Local: the files read.")
    licence: str | None = Field(default=None, description="Licence of the set, where known.")


class CalibrationReport(BaseModel):
    """What is known about a drawn calibration set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name of the variant.")
    kind: Kind = Field(description="Kind of the rows.")
    origin: Origin = Field(description="Where the rows come from.")
    nsamples: int = Field(description="Number of samples.")
    seqlen: int = Field(description="Tokens per sample, or their upper bound.")
    seed: int = Field(description="Seed of the order.")
    tokens: int = Field(description="Tokens of all samples together.")
    lengths: dict[str, int] = Field(description="Histogram: 'from-to' tokens to samples.")
    rows_total: int = Field(description="Rows in the set.")
    rows_visited: int = Field(description="Rows looked at until the samples were complete.")
    row_ids: tuple[str, ...] = Field(description="The row each sample is made of, in order.")
    skipped: dict[str, int] = Field(description="Reason to number of visited rows left out.")
    images: int = Field(description="Samples with a picture.")
    text_only: int = Field(description="Samples without a picture.")
    distinct_images: int = Field(description="Different picture files among them.")
    images_sha256: str | None = Field(description="Digest over the pictures' digests, in order.")
    samples_sha256: str = Field(description="Digest over the tensors of all samples, in order.")
    processor: str = Field(description="Class that made the samples.")
    versions: dict[str, str] = Field(description="Versions of the packages that had a say in it.")


def histogram(lengths: Sequence[int], seqlen: int) -> dict[str, int]:
    """Count lengths in up to eight equal bins of ``1..seqlen``; empty bins are left out."""
    width = -(-seqlen // _BINS)
    counts: dict[str, int] = {}
    for index in sorted((length - 1) // width for length in lengths):
        key = f"{index * width + 1}-{min((index + 1) * width, seqlen)}"
        counts[key] = counts.get(key, 0) + 1
    return counts


def versions(kind: Kind) -> dict[str, str]:
    """Return the versions of the packages that a set of this kind depends on."""
    packages = _TEXT_BACKENDS + (_IMAGE_BACKENDS if kind == "image_text" else ())
    return {package: version(package) for package in sorted(packages)}
