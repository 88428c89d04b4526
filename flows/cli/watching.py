"""Show how far a run is: bars on a terminal, plain lines elsewhere.

Steps log their progress (`tasks.progress`) and know nothing of who watches.  Here a handler on that
logger draws it, and comes off when the run ends.  Prefect's own lines are kept for the page of the
run; on the console they would drown the progress.
"""

import contextlib
import logging
import time
from collections.abc import Iterator

from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tasks.progress import AnswerEvent, Event, event_of, in_words, listening

PLAIN_SECONDS = 20.0  # between two lines about one block, where there is no terminal
RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")


@contextlib.contextmanager
def watched(console: Console, *, verbose: bool) -> Iterator[None]:
    """Draw the progress of whatever runs inside.

    Args:
        console: Where to draw.
        verbose: Let Prefect's lines through, too.
    """
    with contextlib.ExitStack() as stack:
        if console.is_terminal and not verbose:
            bars = stack.enter_context(_bars(console))
            handler: logging.Handler = BarHandler(bars)
        else:
            handler = LineHandler(console)
        if not verbose:
            stack.enter_context(_prefect_kept_quiet())
        stack.enter_context(listening(handler))
        yield


class BarHandler(logging.Handler):
    """Draw one bar a variant over its blocks, and one a model and benchmark over its answers."""

    def __init__(self, bars: Progress) -> None:
        """Draw on ``bars``."""
        super().__init__()
        self._bars = bars
        self._ids: dict[str, TaskID] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Move a bar for an event; print a line above the bars for anything else."""
        event = event_of(record)
        if event is None:
            self._bars.console.print(record.getMessage(), markup=False, highlight=False)
            return
        name = title(event)
        if name not in self._ids:
            self._ids[name] = self._bars.add_task(name, total=None, state="")
        done, total = share(event)
        self._bars.update(self._ids[name], total=total, completed=done, state=in_words(event))


class LineHandler(logging.Handler):
    """Print a line for each message, and now and then one for the block in work."""

    def __init__(self, console: Console) -> None:
        """Print to ``console``."""
        super().__init__()
        self._console = console
        self._last = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Print messages at once, events at most every `PLAIN_SECONDS`."""
        event = event_of(record)
        if event is None:
            line = record.getMessage()
        elif time.monotonic() - self._last < PLAIN_SECONDS:
            return
        else:
            line = f"{title(event)}: {in_words(event)}"
        self._last = time.monotonic()
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def title(event: Event) -> str:
    """Return what a bar is called: a variant, or a model with its benchmark."""
    if isinstance(event, AnswerEvent):
        return f"{event.subject}: {event.benchmark}"
    return event.variant


def share(event: Event) -> tuple[int, int]:
    """Return how much of its bar is done, and of how much."""
    if isinstance(event, AnswerEvent):
        return event.done, event.total
    return event.block * event.iters + event.iteration, event.blocks * event.iters


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
        transient=True,
    )


@contextlib.contextmanager
def _prefect_kept_quiet() -> Iterator[None]:
    """Keep Prefect's lines off the console; the page of the run has them all."""
    consoles = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, PrefectConsoleHandler)
    ]
    for handler in consoles:
        handler.addFilter(worth_a_line)
    try:
        yield
    finally:
        for handler in consoles:
            handler.removeFilter(worth_a_line)


def worth_a_line(record: logging.LogRecord) -> bool:
    """Whether a record should reach the console.

    Warnings should.  A failed run is told by the command itself, as one paragraph, so what Prefect
    logs about it, traceback included, need not be told a second time.
    """
    of_a_run = record.name.startswith(RUN_LOGGERS)
    return record.levelno >= logging.WARNING and not (of_a_run and record.levelno >= logging.ERROR)
