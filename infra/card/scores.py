"""The evaluation as the card tells it: a row a benchmark, the 16-bit model and each variant.

The card's average is the plain mean of its rows, checked where the value is made: a card that says
83.82 over rows that give 83.84 cannot be built here.
"""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from infra.card.value import Value
from infra.evaluation.verdict import Outcome, Verdict

AVERAGE = "avg"
Metric = Literal["accuracy", "circular accuracy", "F1", "VQA accuracy"]
_SAME = 1e-9  # points: sums in another order


class VariantScore(Value):
    """What one variant scored, beside the 16-bit model, in points."""

    variant: str = Field(description="The variant.")
    overall: float = Field(description="Its number.")
    difference: float = Field(description="From the 16-bit model's.")
    low: float = Field(description="Lower end of the 95 % interval of the difference.")
    high: float = Field(description="Upper end of it.")
    recovery: float | None = Field(
        description="The number as percent of the 16-bit model's; None: that is 0."
    )
    flips_down: float | None = Field(
        default=None, description="Percent of answers that went from right to wrong."
    )
    flips_up: float | None = Field(
        default=None, description="Percent of answers that went from wrong to right."
    )


class ScoreRow(Value):
    """One row of the table."""

    name: str = Field(description="The benchmark, or avg.")
    baseline: float = Field(description="The 16-bit model's number, in points.")
    variants: tuple[VariantScore, ...] = Field(min_length=1, description="One a variant.")

    def score(self, variant: str) -> VariantScore:
        """Return what a variant scored."""
        return next(each for each in self.variants if each.variant == variant)


class BenchmarkFacts(Value):
    """What a number of the table was counted on."""

    name: str = Field(description="The benchmark.")
    metric: Metric = Field(description="What the number is.")
    rows: int = Field(ge=1, description="Rows that were answered.")
    questions: int = Field(ge=1, description="Questions that count: rotations count as one.")
    dropped: int = Field(ge=0, description="Rows without a picture, which were not asked.")
    table_sha256: str = Field(description="Digest of its table.")
    notes: tuple[str, ...] = Field(default=(), description="What a reader should know.")


class VariantVerdict(Value):
    """What the gate said of one variant."""

    variant: str = Field(description="The variant.")
    verdict: Verdict = Field(description="Whether it may be released, and why.")


class EvaluationFacts(Value):
    """All that the benchmarks have shown."""

    rules: str = Field(description="Rule set by which answers are read and counted.")
    engine: dict[str, str | int] = Field(description="What answered, with its settings.")
    image_path: str = Field(description="How pictures reach the model.")
    limit: int | None = Field(description="Only the first so many questions were asked.")
    seed: int = Field(description="Seed of the resamples.")
    resamples: int = Field(ge=1, description="How often clusters were drawn anew.")
    benchmarks: tuple[BenchmarkFacts, ...] = Field(min_length=1, description="In order.")
    average: ScoreRow = Field(description="The mean of all rows.")
    rows: tuple[ScoreRow, ...] = Field(min_length=1, description="One a benchmark, in order.")
    verdicts: tuple[VariantVerdict, ...] = Field(description="One a variant.")

    @property
    def variants(self) -> tuple[str, ...]:
        """The columns beside the 16-bit model's."""
        return tuple(each.variant for each in self.average.variants)

    @property
    def table(self) -> tuple[ScoreRow, ...]:
        """All rows as they are printed: the average first."""
        return (self.average, *self.rows)

    def verdict(self, variant: str) -> Verdict:
        """Return what the gate said of a variant."""
        return next(each.verdict for each in self.verdicts if each.variant == variant)

    def outcome(self, variant: str) -> Outcome:
        """Return pass, hold or fail."""
        return self.verdict(variant).outcome

    @model_validator(mode="after")
    def _rows_fit_together(self) -> Self:
        names = [each.name for each in self.benchmarks]
        if names != [row.name for row in self.rows]:
            message = f"the rows are not those of {', '.join(names)}"
            raise ValueError(message)
        columns = [tuple(each.variant for each in row.variants) for row in self.table]
        if set(columns) != {self.variants} or len(set(self.variants)) < len(self.variants):
            message = f"the rows have different columns than {', '.join(self.variants)}"
            raise ValueError(message)
        if {each.variant for each in self.verdicts} != set(self.variants):
            message = "there is not one verdict a variant"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _average_is_the_mean(self) -> Self:
        columns = {"the 16-bit model": (self.average.baseline, [r.baseline for r in self.rows])}
        for name in self.variants:
            rows = [row.score(name).overall for row in self.rows]
            columns[name] = (self.average.score(name).overall, rows)
        for name, (said, rows) in columns.items():
            mean = math.fsum(rows) / len(rows)
            if abs(said - mean) > _SAME:
                message = f"the average of {name} is given as {said}, but its rows give {mean}"
                raise ValueError(message)
        return self
