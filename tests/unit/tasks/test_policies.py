"""The network heals by itself, and another run ends; everything else fails at once."""

import asyncio

import pytest
from prefect.states import State, StateType

from infra.errors import (
    ChecksumError,
    CorruptLogError,
    DownloadError,
    HubUnreachableError,
    LogInUseError,
    ModelNotFoundError,
    StoreUnreachableError,
)
from tasks.answer import answer_benchmarks
from tasks.calibrate import collect_samples
from tasks.fidelity import compare_predictions
from tasks.policies import (
    LOCK_BACKOFF,
    NETWORK_BACKOFF,
    network_trouble,
    somebody_else_answers,
)
from tasks.resolve import resolve_model
from tasks.score import judge_variant, score_answers
from tasks.tables import find_benchmarks


def failed(failure: Exception) -> State[object]:
    """Return the state of a task that failed."""
    return State(type=StateType.FAILED, data=failure)


@pytest.mark.parametrize(
    ("failure", "worth_it"),
    [
        (HubUnreachableError("The Hub does not answer."), True),
        (StoreUnreachableError("The service does not answer."), True),
        (DownloadError("The server hangs up."), True),
        (ConnectionResetError("peer"), True),
        (TimeoutError("slow"), True),
        (ModelNotFoundError("no such model"), False),
        (ChecksumError("another file"), False),
        (ValueError("a bad recipe"), False),
        (MemoryError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_network_trouble_is_tried_again(failure: Exception, worth_it: bool) -> None:  # noqa: FBT001 -- an expectation
    """A broken file is the same after a minute, and a person should not wait to read about it."""
    told = asyncio.run(network_trouble(resolve_model, None, failed(failure)))  # type: ignore[arg-type]

    assert told is worth_it


@pytest.mark.parametrize(
    ("failure", "worth_it"),
    [
        (LogInUseError("Another process is writing."), True),
        (CorruptLogError("Line 7 is damaged."), False),
        (HubUnreachableError("The Hub does not answer."), False),
        (MemoryError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_another_run_is_waited_for(failure: Exception, worth_it: bool) -> None:  # noqa: FBT001 -- an expectation
    """What is damaged stays so; a run at the same questions ends, and its answers are there."""
    told = asyncio.run(somebody_else_answers(answer_benchmarks, None, failed(failure)))  # type: ignore[arg-type]

    assert told is worth_it


@pytest.mark.parametrize("step", [resolve_model, collect_samples, find_benchmarks])
def test_steps_that_meet_the_network_retry(step: object) -> None:
    """Resolving, drawing samples and finding tables may each have to download."""
    assert step.retries == len(NETWORK_BACKOFF)
    assert step.retry_delay_seconds == NETWORK_BACKOFF
    assert step.retry_condition_fn is network_trouble


def test_answering_waits_for_another_run() -> None:
    """Soon at first, for two models may be one and the same; then for as long as it may take."""
    assert answer_benchmarks.retries == len(LOCK_BACKOFF)
    assert answer_benchmarks.retry_delay_seconds == LOCK_BACKOFF
    assert answer_benchmarks.retry_condition_fn is somebody_else_answers
    assert sorted(LOCK_BACKOFF) == LOCK_BACKOFF
    assert (LOCK_BACKOFF[0], sum(LOCK_BACKOFF) // 60) == (5, 127)


@pytest.mark.parametrize("step", [score_answers, judge_variant, compare_predictions])
def test_pure_steps_fail_at_once(step: object) -> None:
    """The same answers give the same numbers, or the same error."""
    assert step.retries == 0
