"""The one file that holds all of an evaluation: what `--json` writes and `compare` reads.

It holds every row with its answer, so that two evaluations can be paired by question later, and
nothing that differs between two runs of the same: no times, no paths.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from flows.errors import EvaluationFileError
from flows.results import Evaluation
from infra.evaluation.compared import Comparison
from infra.evaluation.scored import Scored
from infra.evaluation.verdict import Verdict
from infra.files import explaining
from infra.store import Store
from tasks.evalspecs import FidelityReport
from tasks.score import read_scores
from tasks.specs import Spec


class TableFacts(Spec):
    """What is known of a benchmark's table."""

    benchmark: str = Field(description="Name.")
    sha256: str = Field(description="Digest of the file.")
    rows: int = Field(description="Rows of the file.")
    questions: int = Field(description="Questions that are asked.")
    dropped: int = Field(description="Rows without an image.")
    notes: tuple[str, ...] = Field(description="What a reader should know.")


class ModelResult(Spec):
    """One model's answers, and what they are worth."""

    name: str = Field(description="What its column is called.")
    digest: str | None = Field(default=None, description="Digest of its files.")
    engine: dict[str, str | int] = Field(default={}, description="What answered, with settings.")
    benchmarks: dict[str, Scored] = Field(description="By benchmark, with every row.")


class VariantJudgement(Spec):
    """One variant beside the 16-bit model."""

    name: str = Field(description="The variant.")
    fidelity: FidelityReport | None = Field(description="Predictions, token by token.")
    comparison: Comparison | None = Field(description="Scores, paired by question.")
    verdict: Verdict | None = Field(description="Whether it may be released, and why.")


class EvaluationDocument(Spec):
    """All of an evaluation."""

    format: Literal[1] = Field(default=1, description="Layout of this file.")
    baseline: str | None = Field(description="Name of the 16-bit model, if there was one.")
    tables: tuple[TableFacts, ...] = Field(description="The benchmarks.")
    models: tuple[ModelResult, ...] = Field(description="The 16-bit model first.")
    variants: tuple[VariantJudgement, ...] = Field(description="One a candidate.")


def document(evaluation: Evaluation, baseline: str | None, store: Store) -> EvaluationDocument:
    """Gather all of an evaluation from the store."""
    return EvaluationDocument(
        baseline=baseline,
        tables=tuple(
            TableFacts(
                benchmark=table.benchmark.name,
                **table.model_dump(include={"sha256", "rows", "questions", "dropped", "notes"}),
            )
            for table in evaluation.tables
        ),
        models=tuple(
            ModelResult(
                name=model.name,
                digest=model.digest,
                engine=dict(sorted(model.answers[0].engine.items())) if model.answers else {},
                benchmarks=dict(read_scores(store, model.scores)),
            )
            for model in evaluation.models
        ),
        variants=tuple(
            VariantJudgement(
                name=variant.name,
                fidelity=variant.fidelity,
                comparison=None if variant.judged is None else variant.judged.comparison,
                verdict=None if variant.judged is None else variant.judged.verdict,
            )
            for variant in evaluation.variants
        ),
    )


def as_json(told: EvaluationDocument) -> bytes:
    """Return the file's bytes: the same evaluation, the same bytes."""
    return (told.model_dump_json(by_alias=True, indent=1) + "\n").encode()


def read_model(path: Path, name: str | None) -> ModelResult:
    """Read one model's result from what `evaluate --json` or `score --json` wrote.

    Args:
        path: The file.
        name: Which model; None: the only one that is not the baseline, or the only one.

    Raises:
        EvaluationFileError: It is no such file, or has no model of that name, or several.
        StorageError: It cannot be read.
    """
    with explaining(path, "reading"):
        data = path.read_bytes()
    told = _parsed(data, path)
    models = {model.name: model for model in told.models}
    if name is not None:
        if name in models:
            return models[name]
        raise _choice(path, f"has no model {name!r}", models)
    tested = [model for model in models.values() if model.name != told.baseline]
    if len(tested or models) != 1:
        raise _choice(path, f"has {len(models)} models", models)
    return (tested or list(models.values()))[0]


def _parsed(data: bytes, path: Path) -> EvaluationDocument:
    try:
        return EvaluationDocument.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
    try:
        single = Scored.model_validate_json(data)
    except ValidationError:
        place = ".".join(map(str, first["loc"])) or "the file"
        raise EvaluationFileError(
            f"{path} holds no evaluation: {place}: {first['msg']}. Give a file that `roundhouse "
            "evaluate --json` or `roundhouse score --json` wrote."
        ) from None
    only = ModelResult(name=path.stem, benchmarks={single.benchmark: single})
    return EvaluationDocument(baseline=None, tables=(), models=(only,), variants=())


def _choice(path: Path, what: str, models: Mapping[str, ModelResult]) -> EvaluationFileError:
    return EvaluationFileError(
        f"{path} {what}: there are {', '.join(models) or 'none'}. Say which one is meant, with "
        f"{path}:NAME."
    )
