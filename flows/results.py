"""What a run gives back: references, numbers and folders, never tensors."""

import math
from pathlib import Path

from pydantic import Field

from infra.evaluation.verdict import Outcome
from infra.models.source import ModelSource
from infra.publishing.published import Published
from tasks.evalspecs import AnswersRef, FidelityReport, Judged, ScoredRef, TableRef
from tasks.specs import BlockRecord, ExportResult, Spec, VerifyReport

WORST_FIRST: tuple[Outcome, ...] = ("fail", "hold", "pass")


class ModelAnswers(Spec):
    """What one model answered, and what that is worth."""

    name: str = Field(description="What its column is called.")
    digest: str = Field(description="Digest of its files, by which answers are found again.")
    answers: tuple[AnswersRef, ...] = Field(description="One a benchmark and shard.")
    scores: tuple[ScoredRef, ...] = Field(description="One a benchmark.")


class VariantEvaluation(Spec):
    """What is known of one variant beside its 16-bit model."""

    name: str = Field(description="The variant.")
    fidelity: FidelityReport | None = Field(description="Predictions, token by token.")
    judged: Judged | None = Field(description="Scores, and the verdict.")


class Evaluation(Spec):
    """All that an evaluation has shown."""

    rules: str | None = Field(description="Rule set; None: no benchmark was asked.")
    tables: tuple[TableRef, ...] = Field(description="The benchmarks.")
    models: tuple[ModelAnswers, ...] = Field(description="The 16-bit model first, if there is one.")
    variants: tuple[VariantEvaluation, ...] = Field(description="One a candidate.")

    @property
    def worst(self) -> Outcome | None:
        """The worst verdict; None: nothing was judged."""
        return next((one for one in WORST_FIRST if self._called(one)), None)

    @property
    def best(self) -> Outcome | None:
        """The best verdict, which is what a run of several variants comes to."""
        return next((one for one in reversed(WORST_FIRST) if self._called(one)), None)

    @property
    def chosen(self) -> str | None:
        """The variant to release: of those with the best verdict, the nearest to the 16-bit model.

        None: nothing was judged.
        """
        candidates = () if self.best is None else self._called(self.best)
        return min(candidates, key=_distance).name if candidates else None

    def _called(self, outcome: Outcome) -> tuple[VariantEvaluation, ...]:
        return tuple(
            each
            for each in self.variants
            if each.judged is not None and each.judged.verdict.outcome == outcome
        )


def _distance(variant: VariantEvaluation) -> float:
    """Return the mean KL divergence, on questions where there are some."""
    found = variant.fidelity
    told = None if found is None else found.prompts or found.text
    return math.inf if told is None else told.mean_kl


class VariantResult(Spec):
    """One quantized model, exported and verified."""

    name: str = Field(description="The variant.")
    blocks: tuple[BlockRecord, ...] = Field(description="One record a block, in order.")
    export: ExportResult = Field(description="What was written, and where.")
    verification: VerifyReport = Field(description="What reading it back has shown.")

    @property
    def examined(self) -> Path:
        """The folder that is evaluated: of the first format, for all hold the same words."""
        return next(iter(self.export.folders.values()))


class Approval(Spec):
    """That a person let a held release go on."""

    by: str = Field(description="Who, as they called themselves.")
    reason: str = Field(description="Why, in their words.")


class Candidates(Spec):
    """What the gate was shown, and what became of it."""

    evaluation: Evaluation | None = Field(
        description="Comparison with the 16-bit model; None: the recipe asks for none."
    )
    approval: Approval | None = Field(
        default=None, description="Who let it go on where the gate was not sure."
    )
    published: Published | None = Field(
        default=None, description="Under which names it was published; None: it was not."
    )


class RunResult(Candidates):
    """All that one recipe gave."""

    source: ModelSource = Field(description="The 16-bit model, at its resolved revision.")
    variants: tuple[VariantResult, ...] = Field(description="One result a variant.")

    @property
    def chosen(self) -> VariantResult:
        """The variant to release: what the evaluation chose, or the first if nothing was judged."""
        name = None if self.evaluation is None else self.evaluation.chosen
        return next((each for each in self.variants if each.name == name), self.variants[0])

    def fidelity(self, variant: str) -> FidelityReport | None:
        """Return what is known of a variant's predictions."""
        found = () if self.evaluation is None else self.evaluation.variants
        return next((each.fidelity for each in found if each.name == variant), None)
