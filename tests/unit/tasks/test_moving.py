"""A bar follows the work, and the work never waits for it."""

import contextlib
import logging
import threading
import time

import pytest

from tasks.moving import END, Position, moving
from tasks.progress import LOGGER_NAME, Event, ProgressEvent, emit, listening, say

EVENT = ProgressEvent("pile", block=0, blocks=2, iteration=1, iters=4, loss=0.5)


def quarter(event: Event) -> Position | None:
    """Read a made-up place of one variant out of its events."""
    if not isinstance(event, ProgressEvent) or event.variant != "pile":
        return None
    return Position(25.0 * event.iteration, f"step {event.iteration}")


def test_a_bar_moves_and_ends_with_its_work() -> None:
    """Each new position is shown; what is said of something else is not."""
    shown: list[tuple[float, str]] = []
    with moving(lambda *told: shown.append(told), quarter, seconds=0.01):
        for iteration in (1, 2):
            emit(EVENT._replace(iteration=iteration))
            emit(EVENT._replace(variant="llava", iteration=3))
            say("pile: a line")
            time.sleep(0.1)

    assert shown == [(25.0, "step 1"), (50.0, "step 2"), END]


def test_a_bar_is_not_moved_more_often_than_every_few_seconds() -> None:
    """A thousand steps a second are one value: the last."""
    shown: list[tuple[float, str]] = []
    with moving(lambda *told: shown.append(told), quarter, seconds=60.0):
        for iteration in range(1000):
            emit(EVENT._replace(iteration=iteration))

    assert shown == [END]


def test_a_bar_whose_work_fails_stays_where_that_was() -> None:
    """Whoever looks later sees how far it came."""
    shown: list[tuple[float, str]] = []
    with (
        contextlib.suppress(KeyError),
        moving(lambda *told: shown.append(told), quarter, seconds=60.0),
    ):
        emit(EVENT)
        raise KeyError

    assert shown[-1] == (25.0, "step 1")


def test_work_that_fails_before_it_begins_shows_no_bar() -> None:
    """A task that waits for another run, and tries again, must not leave a bar each time."""
    shown: list[tuple[float, str]] = []
    with contextlib.suppress(KeyError), moving(lambda *told: shown.append(told), quarter):
        raise KeyError

    assert shown == []


def test_a_server_that_hangs_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar stands still; steps go on, and the end waits for the last value only so long."""
    monkeypatch.setattr("tasks.moving.PATIENCE_SECONDS", 0.1)
    hung = threading.Event()
    began = time.monotonic()
    with moving(lambda *_told: bool(hung.wait(30)), quarter, seconds=0.01) as position:
        for _ in range(100):
            emit(EVENT)

    assert time.monotonic() - began < 10
    assert position.latest == END
    hung.set()


def test_the_logger_is_left_as_it_was_when_the_last_one_leaves() -> None:
    """Bars of tasks side by side come and go in any order."""
    logger = logging.getLogger(LOGGER_NAME)
    before = (list(logger.handlers), logger.level, logger.propagate)
    first, second = listening(logging.NullHandler()), listening(logging.NullHandler())
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)

    assert (logger.level, logger.propagate) == (logging.INFO, False)
    second.__exit__(None, None, None)
    assert (list(logger.handlers), logger.level, logger.propagate) == before
