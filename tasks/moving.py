"""Keep a bar on the page of a run moving while its steps work.

Steps log how far they are, many times a second, and wait for nobody.  The latest of it goes to the
server every few seconds, from a thread of its own: a server that is slow or away costs a bar that
stands still, and never a step of the arithmetic.
"""

import contextlib
import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tasks.progress import Event, event_of, listening

SECONDS = 2.0  # between two values of a bar
PATIENCE_SECONDS = 10.0  # for the last value, at the end of a run


class Position(NamedTuple):
    """How far something is."""

    percent: float  # from 0 to 100
    words: str


END = Position(100.0, "done")
Reading = Callable[[Event], Position | None]
Show = Callable[[float, str], None]


class Moving(logging.Handler):
    """The latest position, of whatever ``read`` finds in the events of the progress logger.

    A handler, so that steps need not know of it; `put` is for what no event tells.
    """

    def __init__(self, read: Reading) -> None:
        """Take no notice of events for which ``read`` returns None."""
        super().__init__()
        self._read = read
        self.latest: Position | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Note where an event says that it is."""
        event = event_of(record)
        position = None if event is None else self._read(event)
        if position is not None:
            self.latest = position

    def put(self, position: Position) -> None:
        """Note a position."""
        self.latest = position


@contextlib.contextmanager
def moving(show: Show, read: Reading, *, seconds: float = SECONDS) -> Iterator[Moving]:
    """Show where the work inside is, from its first event on; where it fails, that stays shown.

    Args:
        show: Moves a bar to a percentage, with words; called from one other thread.
        read: What an event says; None: it is about something else.
        seconds: Between two values, at least.
    """
    position, ended = Moving(read), threading.Event()
    sender = threading.Thread(
        # the page is that of the run in hand, which is known by the context
        target=contextvars.copy_context().run,
        args=(_send, show, position, ended, seconds),
        name="progress bar",
        daemon=True,  # one that hangs on a dead server must not keep the process
    )
    sender.start()
    try:
        with listening(position):
            yield position
        position.put(END)
    finally:
        ended.set()
        sender.join(PATIENCE_SECONDS)


def _send(show: Show, position: Moving, ended: threading.Event, seconds: float) -> None:
    """Show each new position until there will be no more."""
    shown: Position | None = None
    over = False
    while not over:
        over = ended.wait(seconds)
        latest = position.latest
        if latest is not None and latest != shown:
            show(*latest)
            shown = latest
