"""The heavy work of an evaluation, as workers of a pool carry it out: answers and comparisons.

What a worker has made is on record when its run ends; the parent reads it there.
"""

from prefect import flow
from pydantic import TypeAdapter

from flows.jobs import Job
from infra.store import open_store
from tasks.answer import NOT_OF_THE_ANSWERS, Shard, answer_benchmarks
from tasks.evalspecs import AnswersRef, FidelityPlan, FidelityReport
from tasks.fidelity import compare_predictions
from tasks.outcomes import outcome_key
from tasks.worker import taken

_MODEL = {"source": {"path", "repo_id", "commit"}}
_COMPUTE = {"threads", "activation_gib"}


@flow(name="answer-benchmarks", flow_run_name="{plan.title}", persist_result=False)
def answer_shard(plan: Shard) -> tuple[AnswersRef, ...]:
    """Let one model answer its part of every benchmark.

    Args:
        plan: The model, its questions, and where answers are kept.

    Raises:
        EngineMismatchError: The plan is meant for another version of the engine.
        EvaluationError: The model cannot be asked, or a table cannot be used.
        InfraError: A file cannot be read or written.
    """
    plan = taken(plan)
    return shard_job(plan).done(open_store(plan.place), answer_benchmarks(plan))


@flow(name="compare-predictions", flow_run_name="compare predictions", persist_result=False)
def compare_models(plan: FidelityPlan) -> dict[str, FidelityReport]:
    """Compare the predictions of all candidates with the 16-bit model's, token by token.

    Args:
        plan: The models, and what they are compared on.

    Raises:
        EngineMismatchError: The plan is meant for another version of the engine.
        NonFinitePredictionsError: A model's predictions are not numbers.
        InfraError: A model or its answers cannot be read.
    """
    plan = taken(plan)
    return comparison_job(plan).done(open_store(plan.place), compare_predictions(plan))


def shard_job(plan: Shard) -> Job[tuple[AnswersRef, ...]]:
    """Return the answering of a shard as work that may be handed out."""
    without = {
        "subject": {"name": True, **_MODEL},
        "tables": {"__all__": {"path"}},
        "asked": NOT_OF_THE_ANSWERS - {"shards", "limit"},
        "compute": _COMPUTE,
    }
    key = outcome_key("answers", plan, without)
    result = TypeAdapter(tuple[AnswersRef, ...])
    return Job(answer_shard, plan, plan.title, key, result, _found)


def _found(answers: tuple[AnswersRef, ...]) -> tuple[AnswersRef, ...]:
    """Return answers as a run has them that asked nothing."""
    return tuple(each.found() for each in answers)


def comparison_job(plan: FidelityPlan) -> Job[dict[str, FidelityReport]]:
    """Return the comparison of predictions as work that may be handed out."""
    without = {
        "baseline": _MODEL,
        "candidates": {"__all__": _MODEL},
        "tables": {"__all__": {"path"}},
        "answers": {"__all__": {"computed", "reused", "seconds"}},
        "compute": _COMPUTE,
    }
    key = outcome_key("comparison", plan, without)
    result = TypeAdapter(dict[str, FidelityReport])
    title = "compare predictions with the 16-bit model's"
    return Job(compare_models, plan, title, key, result, again=lambda reports: reports)
