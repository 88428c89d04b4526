"""What a gate is told, and what it says: thresholds, evidence, findings, and the verdict.

Values only, so that a recipe can hold the thresholds without loading what measures.
"""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from infra.evaluation.compared import Interval
from infra.evaluation.value import Value

Outcome = Literal["pass", "hold", "fail"]

NO_KL = 1e-6
"""Nats that float32 makes of two equal models: less is none, and nothing is a multiple of less."""


class _Finite(Value):
    """Without NaN, which is neither within a limit nor beyond it."""

    model_config = ConfigDict(allow_inf_nan=False)


class GateSpec(_Finite):
    """What a candidate may lose against its 16-bit model on the same rows."""

    average_margin: float = Field(
        default=1.5,
        ge=0,
        description="Points that the average may lose: below it with 95 % confidence passes, above "
        "it with 95 % confidence fails, and anything between is held for a person.",
    )
    task_drop: float = Field(
        default=2.0,
        ge=0,
        description="Points that one benchmark may lose; more fails if it is significant as well.",
    )
    alpha: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="A drop of one benchmark is significant if its one-sided p value, adjusted for "
        "the number of benchmarks (Holm), is below this.",
    )
    unreadable: float = Field(
        default=0.5,
        ge=0,
        description="Points by which the share of unreadable answers may grow; more fails.",
    )
    capped: float = Field(
        default=0.5,
        ge=0,
        description="Points by which the share of answers cut at the longest length may grow; more "
        "fails.",
    )
    yes_share: float = Field(
        default=3.0,
        ge=0,
        description="Yes/no benchmarks: points by which the share of Yes may move either way; more "
        "fails.",
    )
    flips: float = Field(
        default=12.0,
        ge=0,
        le=100,
        description="Percent of a benchmark's answers that may change between right and wrong; "
        "more fails.",
    )
    kl_growth: float = Field(
        default=1.5,
        gt=0,
        description="The KL divergence may be this many times that of the last release of the same "
        "model; more holds.",
    )
    kl_int4: float = Field(
        default=4.0,
        gt=0,
        description="The KL divergence, on text and on questions, may be this many times that of "
        "plain rounding to 4 bits with the same group size; more holds, and fails if it is more "
        "with 95 % confidence. One bit less is four times the noise.",
    )
    clusters: int = Field(
        default=10,
        ge=1,
        description="Fewest images (or questions, in circular benchmarks) of a benchmark from "
        "which an interval is believed; fewer holds.",
    )


class AgainstInt4(_Finite):
    """How far the candidate is from the 16-bit model, beside plain rounding to 4 bits."""

    on: Literal["text", "questions"] = Field(description="What was predicted.")
    mean_kl: float = Field(description="The candidate's mean KL divergence, in nats.")
    mean_kl_int4: float = Field(
        description="That of plain rounding to 4 bits with the same group size, on the same tokens."
    )
    times: Interval = Field(description="The one as a multiple of the other.")


class FidelityEvidence(_Finite):
    """How close the candidate's next-token distributions are to the 16-bit model's, in nats."""

    mean_kl: float = Field(description="Mean KL divergence from the 16-bit model.")
    mean_kl_interval: Interval | None = Field(default=None, description="Of the mean.")
    kl_99: float | None = Field(default=None, description="Its 99th percentile over tokens.")
    top1_agreement: float | None = Field(
        default=None, ge=0, le=1, description="Share of tokens with the same most likely token."
    )
    perplexity_ratio: float | None = Field(
        default=None, gt=0, description="Perplexity on text over that of the 16-bit model."
    )
    tokens: int | None = Field(default=None, ge=1, description="Tokens that were compared.")
    is_round_to_nearest: bool = Field(
        default=False, description="The candidate itself is plain round-to-nearest."
    )
    mean_kl_rtn: float | None = Field(
        default=None,
        description="Mean KL of plain round-to-nearest with the same bits and group size, on the "
        "same tokens.",
    )
    kl_less_rtn: Interval | None = Field(
        default=None, description="Paired interval of the candidate's mean KL less that."
    )
    against_int4: tuple[AgainstInt4, ...] = Field(
        default=(), description="Beside plain rounding to 4 bits, on all that was predicted."
    )
    last_released_kl: float | None = Field(
        default=None, ge=0, description="Mean KL of the last release of the same model."
    )

    @model_validator(mode="after")
    def _round_to_nearest_comes_with_its_interval(self) -> Self:
        if (self.mean_kl_rtn is None) != (self.kl_less_rtn is None):
            message = (
                f"mean_kl_rtn={self.mean_kl_rtn} and kl_less_rtn={self.kl_less_rtn} are judged "
                "together; give both or neither."
            )
            raise ValueError(message)
        return self


class Finding(_Finite):
    """One thing that was looked at."""

    check: str = Field(
        description="What was looked at: rows, clusters, average, drop, unreadable, capped, "
        "yes share, flips, fidelity, int4 or last release."
    )
    benchmark: str | None = Field(default=None, description="Where; None: overall.")
    outcome: Outcome | Literal["not judged"] = Field(description="What came of it.")
    measured: float | None = Field(default=None, description="The number that was judged.")
    limit: float | None = Field(default=None, description="The threshold that it was held to.")
    words: str = Field(description="One sentence, with the numbers.")


class Verdict(_Finite):
    """Whether a candidate may be released, and why."""

    outcome: Outcome = Field(description="The worst outcome of all findings.")
    reasons: tuple[Finding, ...] = Field(description="All findings, in the order of the checks.")

    @property
    def decisive(self) -> tuple[Finding, ...]:
        """The findings that made it this outcome, or all that passed."""
        return tuple(finding for finding in self.reasons if finding.outcome == self.outcome)
