"""Tell whoever is watching how far a block is, without knowing who that is.

Steps log a `ProgressEvent` on one named logger; the command line attaches a handler that draws
bars, a test attaches one that counts, and without a handler nothing happens.  A log record is
used, and not a callback, because it needs no state that steps would have to be handed.
"""

import logging
from typing import NamedTuple

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
    def per_second(self) -> float:
        """Answers that are computed in a second."""
        return self.computed / self.seconds if self.seconds else 0.0


def emit_answers(event: AnswerEvent) -> None:
    """Log ``event`` at INFO, as ``record.event``."""
    logging.getLogger(LOGGER_NAME).info(
        "%s: %s, %d of %d answers, %.1f a second",
        event.subject,
        event.benchmark,
        event.reused + event.computed,
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
    """Log a line that a watching person should read, such as the start of a step."""
    logging.getLogger(LOGGER_NAME).info(message)
