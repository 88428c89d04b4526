"""What a benchmark is: a few lines of data, so that another one needs no code.

The benchmarks of the reference card are in `catalog.yaml`; a folder of tables may bring its own
`benchmarks.yaml` with entries of the same fields, which come before those.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.evaluation.value import Value

Kind = Literal["mcq", "yes_no", "vqa"]
Cluster = Literal["image", "group"]
BenchmarkName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*$", max_length=96)]


class Benchmark(Value):
    """One benchmark: where its table is, how it is asked, and how it is counted."""

    name: BenchmarkName = Field(description="Name, as VLMEvalKit has it; the table is NAME.tsv.")
    kind: Kind = Field(
        description="mcq: multiple choice. yes_no: yes or no. vqa: an open answer, ten annotators."
    )
    circular: bool = Field(
        default=False,
        description="Multiple choice: right only if every rotation of the options is; rows whose "
        "index is the same modulo 1,000,000 are one question.",
    )
    cluster: Cluster = Field(
        default="image",
        description="What is drawn at random for intervals: all rows on one image, or one question "
        "with its rotations.",
    )
    min_pixels: int | None = Field(
        default=None,
        ge=1,
        description="Pictures are scaled up to this many pixels, unless the model admits fewer. "
        "None: the model's own bound.",
    )
    max_pixels: int | None = Field(
        default=None, ge=1, description="Pictures are scaled down to this many; None: as above."
    )
    url: str | None = Field(default=None, description="Where the table can be downloaded.")
    md5: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{32}$", description="MD5 of the table at that URL."
    )
