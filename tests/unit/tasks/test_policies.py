"""Only the network can heal by itself; everything else fails at once."""

import asyncio

import pytest
from prefect.states import State, StateType

from infra.errors import HubUnreachableError, ModelNotFoundError
from tasks.calibrate import collect_samples
from tasks.evaluate import text_fidelity
from tasks.policies import NETWORK_BACKOFF, network_trouble
from tasks.resolve import resolve_model


@pytest.mark.parametrize(
    ("failure", "worth_it"),
    [
        (HubUnreachableError("The Hub does not answer."), True),
        (ConnectionResetError("peer"), True),
        (TimeoutError("slow"), True),
        (ModelNotFoundError("no such model"), False),
        (ValueError("a bad recipe"), False),
        (MemoryError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_network_trouble_is_tried_again(failure: Exception, worth_it: bool) -> None:  # noqa: FBT001 -- an expectation
    """A broken file is the same after a minute, and a person should not wait to read about it."""
    state: State[object] = State(type=StateType.FAILED, data=failure)

    assert asyncio.run(network_trouble(resolve_model, None, state)) is worth_it  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [resolve_model, collect_samples, text_fidelity])
def test_steps_that_meet_the_network_retry(step: object) -> None:
    """Resolving, drawing samples and evaluating may each have to download."""
    assert step.retries == len(NETWORK_BACKOFF)
    assert step.retry_delay_seconds == NETWORK_BACKOFF
    assert step.retry_condition_fn is network_trouble
