"""The scores as the Hub reads them: `model-index` in the card, and `.eval_results/*.yaml`.

The first takes any benchmark.  The second feeds the Hub's leaderboards and is read only for data
sets that are registered there; `registered.yaml` says which of ours are.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, eval_result_entries_to_yaml

from infra.card.facts import ReleaseFacts
from infra.card.scores import BenchmarkFacts, EvaluationFacts, ScoreRow
from infra.card.value import Value

TASK = "image-text-to-text"
_REGISTERED = Path(__file__).with_name("registered.yaml")


class RegisteredBenchmark(Value):
    """Where a benchmark is known on the Hub."""

    dataset_id: str
    task_id: str


def model_index(facts: ReleaseFacts) -> list[EvalResult]:
    """Return what the released variant scored, a result a benchmark."""
    told = facts.evaluation
    if told is None:
        return []
    return [
        EvalResult(
            task_type=TASK,
            dataset_type=one.name,
            dataset_name=one.name,
            dataset_args={"rows": one.rows, "table_sha256": one.table_sha256},
            metric_type=one.metric.lower().replace(" ", "_"),
            metric_name=f"{one.metric}, in points; rules {told.rules}",
            metric_value=round(row.score(facts.variant).overall, 2),
        )
        for one, row in _counted(told)
    ]


def eval_results(facts: ReleaseFacts) -> dict[str, bytes]:
    """Return the files of registered benchmarks by their path; none where none is registered."""
    return eval_results_of(facts, registered())


def eval_results_of(
    facts: ReleaseFacts, known: Mapping[str, RegisteredBenchmark]
) -> dict[str, bytes]:
    """Return the files of those benchmarks that are ``known``, by their path."""
    told = facts.evaluation
    if told is None:
        return {}
    return {
        f".eval_results/{one.name}.yaml": _entry(facts, told, row, known[one.name])
        for one, row in _counted(told)
        if one.name in known
    }


def registered() -> Mapping[str, RegisteredBenchmark]:
    """Return the benchmarks that the Hub's leaderboards know, by our names for them."""
    told = yaml.safe_load(_REGISTERED.read_text(encoding="utf-8")) or {}
    return {name: RegisteredBenchmark.model_validate(each) for name, each in told.items()}


def _entry(
    facts: ReleaseFacts, told: EvaluationFacts, row: ScoreRow, known: RegisteredBenchmark
) -> bytes:
    entry = EvalResultEntry(
        dataset_id=known.dataset_id,
        task_id=known.task_id,
        value=round(row.score(facts.variant).overall, 2),
        notes=f"INT4, {facts.variant}; rules {told.rules}",
    )
    content = eval_result_entries_to_yaml([entry])
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()


def _counted(told: EvaluationFacts) -> list[tuple[BenchmarkFacts, ScoreRow]]:
    return list(zip(told.benchmarks, told.rows, strict=True))
