"""What answers are worth: one value for each row, each group and each benchmark."""

from pydantic import AliasChoices, Field

from infra.evaluation.value import Value


class ScoredRow(Value):
    """One answer, read and judged."""

    index: int = Field(description="Index of the question.")
    prediction: str = Field(description="What was answered.")
    extracted: str | None = Field(
        description="What was read in it: a letter (Z: a refusal), Yes, No or Unknown, or the "
        "normalised words of an open answer; None: no option could be read."
    )
    score: float = Field(ge=0, le=1, description="What it is worth.")
    cluster: str = Field(description="Rows of one cluster are drawn together for intervals.")
    capped: bool = Field(default=False, description="The answer was cut at the longest length.")
    truth: str | None = Field(
        default=None, description="Yes/no: the right answer, Yes or No, which F1 is counted from."
    )
    weight: int = Field(
        default=1,
        ge=1,
        description="Yes/no: rows that it counts as in F1, one for each of its categories.",
    )


class ScoredGroup(Value):
    """All rotations of one question."""

    group: int = Field(description="Index of the rows modulo 1,000,000.")
    score: float = Field(ge=0, le=1, description="1 if every rotation is right, else 0.")


class Detection(Value):
    """Yes/no answers counted as a detector of Yes, in points."""

    f1: float = Field(description="Harmonic mean of precision and recall of Yes.")
    acc: float = Field(description="Share of right answers; Unknown is wrong.")
    precision: float = Field(description="Of the answers Yes, those that are right.")
    recall: float = Field(description="Of the questions with answer Yes, those answered so.")


class Report(Value):
    """What a benchmark's answers are worth, in points of 100."""

    overall: float = Field(
        serialization_alias="Overall",
        validation_alias=AliasChoices("overall", "Overall"),  # what was written is read again
        description="The number of the table.",
    )
    categories: dict[str, float] = Field(
        default={}, description="The same number by category, where the table has them."
    )
    l2_categories: dict[str, float] = Field(default={}, description="By coarser category.")
    splits: dict[str, float] = Field(default={}, description="By split, where there are several.")
    detection: dict[str, Detection] = Field(
        default={}, description="Yes/no: Overall and each category."
    )
    vanilla: float | None = Field(
        default=None, description="Circular sets: share of single rows that are right."
    )
    unreadable: float = Field(
        description="Share of answers in which nothing could be read, in points."
    )
    capped: float = Field(description="Share of answers cut at the longest length, in points.")
    yes_share: float | None = Field(
        default=None, description="Yes/no: share of answers Yes, in points."
    )


class Scored(Value):
    """One benchmark's answers, judged by named rules."""

    benchmark: str = Field(description="Name of the benchmark.")
    kind: str = Field(description="mcq, yes_no or vqa.")
    circular: bool = Field(description="Whether every rotation must be right.")
    rules: str = Field(description="Name of the rule set.")
    table_sha256: str = Field(description="Digest of the table.")
    rows: tuple[ScoredRow, ...] = Field(description="One row a question, by index.")
    groups: tuple[ScoredGroup, ...] = Field(default=(), description="Circular sets alone.")
    report: Report = Field(description="The numbers.")
    notes: tuple[str, ...] = Field(default=(), description="What a reader should know.")
