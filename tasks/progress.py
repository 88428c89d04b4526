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
