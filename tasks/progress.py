"""Tell whoever is watching how far a block is, without knowing who that is.

Steps log a `ProgressEvent` on one named logger; the command line attaches a handler that draws
bars, a test attaches one that counts, and without a handler nothing happens.  A log record is
used, and not a callback, because it needs no state that steps would have to be handed.
"""

import contextlib
import logging
from collections.abc import Iterator
from typing import NamedTuple

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

LOGGER_NAME = "roundhouse.progress"


class ProgressEvent(NamedTuple):
    """How far the tuning of one block is."""

    variant: str
    block: int  # from 0
    blocks: int  # of the whole model
    iteration: int  # steps done, from 1; below iters at the end if a loss was not finite
    iters: int
    loss: float  # of the step's batch


class AnswerEvent(NamedTuple):
    """How far one model's answers to one benchmark are."""

    subject: str
    benchmark: str
    total: int
    reused: int  # were on record
    computed: int  # by this run
    seconds: float  # since it began

    @property
    def done(self) -> int:
        """Answers that are there."""
        return self.reused + self.computed

    @property
    def per_second(self) -> float:
        """Answers that are computed in a second."""
        return self.computed / self.seconds if self.seconds else 0.0


Event = ProgressEvent | AnswerEvent


def event_of(record: logging.LogRecord) -> Event | None:
    """Return the event that a log record carries, if it carries one."""
    event = record.__dict__.get("event")
    return event if isinstance(event, Event) else None


def in_words(event: Event) -> str:
    """Return how far that is, for people."""
    if isinstance(event, AnswerEvent):
        return f"{event.done} of {event.total} answers, {event.per_second:.1f} a second"
    return (
        f"block {event.block + 1} of {event.blocks}, "
        f"iteration {event.iteration} of {event.iters}, loss {event.loss:.4g}"
    )


@contextlib.contextmanager
def listening(handler: logging.Handler) -> Iterator[None]:
    """Hand all progress to ``handler`` as long as the block runs.

    Several may listen at a time, and each may leave when it likes: with the last one, the logger is
    what it was, one that nobody hears.  None of it reaches the handlers of other loggers, where an
    event for each step would drown all else.
    """
    logger = logging.getLogger(LOGGER_NAME)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        if not logger.handlers:
            logger.setLevel(logging.NOTSET)
            logger.propagate = True


def emit_answers(event: AnswerEvent) -> None:
    """Log ``event`` at INFO, as ``record.event``."""
    logging.getLogger(LOGGER_NAME).info(
        "%s: %s, %d of %d answers, %.1f a second",
        event.subject,
        event.benchmark,
        event.done,
        event.total,
        event.per_second,
        extra={"event": event},
    )


def emit(event: ProgressEvent) -> None:
    """Log ``event`` at INFO, as ``record.event``."""
    logging.getLogger(LOGGER_NAME).info(
        "%s: block %d of %d, iteration %d of %d, loss %.3g",
        event.variant,
        event.block + 1,
        event.blocks,
        event.iteration,
        event.iters,
        event.loss,
        extra={"event": event},
    )


def say(message: str) -> None:
    """Log a line that a watching person should read, such as the start of a step.

    Inside a run it is kept with that run, too, where its page shows it.
    """
    logging.getLogger(LOGGER_NAME).info(message)
    with contextlib.suppress(MissingContextError):
        get_run_logger().info("%s", message)
