"""What comes of putting two models side by side: differences, and how far chance alone could reach.

Values only, so that a recipe, a table or a verdict can name them without loading scipy.
"""

from typing import Literal

from pydantic import Field

from infra.evaluation.value import Value

Test = Literal["mcnemar", "bootstrap"]


class Interval(Value):
    """Where a number could as well lie, had other questions been drawn."""

    low: float = Field(description="Lower end of the two-sided 95 % interval.")
    high: float = Field(description="Upper end of it.")
    lower: float = Field(description="One-sided 95 % bound: it is hardly less than this.")
    upper: float = Field(description="One-sided 95 % bound: it is hardly more than this.")


class Side(Value):
    """What one of the two models did, in points."""

    overall: float = Field(description="The number of the table.")
    unreadable: float = Field(description="Share of answers in which nothing could be read.")
    capped: float = Field(description="Share of answers cut at the longest length.")
    yes_share: float | None = Field(default=None, description="Yes/no: share of answers Yes.")


class Flips(Value):
    """Answers that are worth less, or more, than the baseline's; what is judged is a unit.

    A unit is a row or, in circular benchmarks, a question with all its rotations.  An open answer
    that fewer annotators gave is a flip too, although it may still be worth something.
    """

    down: int = Field(ge=0, description="Right before, wrong now.")
    up: int = Field(ge=0, description="Wrong before, right now.")
    units: int = Field(ge=1, description="Out of so many.")

    @property
    def down_rate(self) -> float:
        """Share that got worse, in points."""
        return 100 * self.down / self.units

    @property
    def up_rate(self) -> float:
        """Share that got better, in points."""
        return 100 * self.up / self.units

    @property
    def rate(self) -> float:
        """Share that changed either way, in points."""
        return 100 * (self.down + self.up) / self.units


class TaskComparison(Value):
    """Two models on one benchmark."""

    benchmark: str = Field(description="Name of the benchmark.")
    kind: str = Field(description="mcq, yes_no or vqa.")
    circular: bool = Field(description="Whether every rotation must be right.")
    table_sha256: str = Field(description="Digest of the table.")
    rows: int = Field(ge=1, description="Rows that both answered.")
    clusters: int = Field(ge=1, description="Images or questions that are drawn as one.")
    baseline: Side = Field(description="The model that is compared with.")
    candidate: Side = Field(description="The model that is judged.")
    difference: float = Field(description="Candidate less baseline, in points.")
    interval: Interval = Field(description="Of the difference, in points.")
    flips: Flips = Field(description="Right to wrong, and wrong to right.")
    test: Test = Field(description="Where the p values come from.")
    p_value: float = Field(ge=0, le=1, description="Two-sided: that there is no difference.")
    p_worse: float = Field(ge=0, le=1, description="One-sided: that the candidate is not worse.")
    p_worse_holm: float = Field(
        ge=0, le=1, description="As above, adjusted for the number of benchmarks (Holm)."
    )


class AverageComparison(Value):
    """The plain mean of all benchmarks."""

    baseline: float = Field(description="Mean of the unrounded numbers, in points.")
    candidate: float = Field(description="Mean of the unrounded numbers, in points.")
    difference: float = Field(description="Candidate less baseline, in points.")
    interval: Interval = Field(description="Of the difference, in points.")


class Comparison(Value):
    """Two models on the same questions, by the same rules."""

    rules: str = Field(description="Name of the rule set.")
    seed: int = Field(ge=0, description="Seed of the resamples.")
    resamples: int = Field(ge=1, description="How often clusters were drawn anew.")
    tasks: tuple[TaskComparison, ...] = Field(min_length=1, description="One a benchmark.")
    average: AverageComparison = Field(description="The mean of them.")

    @property
    def rows(self) -> int:
        """Rows of all benchmarks."""
        return sum(task.rows for task in self.tasks)
