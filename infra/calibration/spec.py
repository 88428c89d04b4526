"""What can be asked of a calibration set.  It lives beside the code that reads it."""

from pathlib import PurePosixPath
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Kind = Literal["text", "image_text"]


class CalibrationSpec(BaseModel):
    """One calibration set, drawn with one seed.  The same spec and files give the same bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]*$",
        max_length=64,
        description="Name of the variant that is calibrated on this set, as in 'pile' or 'llava'.",
    )
    kind: Kind = Field(
        description="'text': documents of plain text. 'image_text': LLaVA rows, that is a picture "
        "and the conversation about it."
    )
    source: str = Field(
        min_length=1,
        description="A local file (.jsonl, .json, .parquet, .txt), a folder of such files, or the "
        "id of a data set on the Hub, as in 'NeelNanda/pile-10k'. What exists locally wins.",
    )
    revision: str | None = Field(
        default=None,
        min_length=1,
        description="Hub only: branch, tag or commit. It is resolved to a commit once, and the "
        "commit is recorded.",
    )
    split: str = Field(default="train", min_length=1, description="Hub only: the split to read.")
    data_files: tuple[str, ...] = Field(
        default=(),
        description="Which files of a folder or Hub data set to read, as glob patterns; empty "
        "means all. They lie below the source: no '..', no absolute path, no address.",
    )
    nsamples: int = Field(gt=0, description="Number of samples. Exactly so many, or an error.")
    seqlen: int = Field(
        ge=2,
        description="Tokens per sample: exactly so many for text, at most so many for image_text.",
    )
    seed: int = Field(ge=0, description="Seed of the order in which rows are drawn.")
    images: str | None = Field(
        default=None,
        description="Folder that the 'image' of a row is relative to. By default the folder of the "
        "rows, and then 'images' in it. A Hub data set without pictures of its own needs it.",
    )
    text_column: str = Field(default="text", description="Column of a text set that is read.")
    min_length: int = Field(
        default=32, ge=1, description="image_text only: shorter samples are skipped and counted."
    )
    max_image_pixels: int = Field(
        default=64 * 1024 * 1024,
        gt=0,
        description="A picture with more pixels is refused before it is decoded.",
    )
    skip_bad_rows: bool = Field(
        default=False,
        description="Count and report broken rows and pictures instead of stopping at the first.",
    )

    @field_validator("data_files")
    @classmethod
    def _stay_below_the_source(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            path = PurePosixPath(pattern)
            if not pattern or path.is_absolute() or ".." in path.parts or "://" in pattern:
                message = (
                    f"{pattern!r} leads out of the source. Give patterns of files below it, as in "
                    "'data/*.parquet'."
                )
                raise ValueError(message)
        return patterns

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        if self.kind == "image_text" and self.min_length > self.seqlen:
            message = (
                f"min_length={self.min_length} is more than seqlen={self.seqlen}, so that no "
                "sample could have both; lower the one or raise the other."
            )
            raise ValueError(message)
        return self
