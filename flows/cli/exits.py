"""How a command ends: exit codes, errors as one paragraph, and a clean stop on a signal.

A traceback is for those who maintain Roundhouse; everyone else needs the value, the place and the
remedy.  Errors that are raised on purpose carry these in their message, and it is printed as it is.
"""

import contextlib
import enum
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from types import FrameType

from rich.console import Console

from flows.errors import (
    DeviceError,
    EvaluationFileError,
    FlowError,
    RecipeError,
    ScheduledRunsError,
    ServerError,
    VerificationError,
    WorkError,
)
from infra.errors import (
    AbsentModelError,
    BenchmarkKindError,
    ChecksumError,
    DownloadError,
    EngineMismatchError,
    HubFullError,
    HubNameError,
    HubPortError,
    HubUnreachableError,
    InfraError,
    MissingTokenError,
    NotAllowedError,
    OutputExistsError,
    RejectedTokenError,
    StorageError,
    StoreError,
    TooLargeForHubError,
    UnknownBenchmarkError,
    UnknownRulesError,
)
from quantcore.errors import GridError, QuantcoreError, ScheduleError, ScratchSpaceError


class Exit(enum.IntEnum):
    """What the exit code of a command means."""

    OK = 0
    BUG = 1
    USAGE = 2
    INPUT = 3
    VERIFICATION = 4
    ENVIRONMENT = 5
    REFUSED = 6
    HELD = 7
    INTERRUPTED = 130
    TERMINATED = 143


_CODES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Exit], ...] = (
    (
        (
            *(RecipeError, DeviceError, GridError, ScheduleError),
            *(UnknownRulesError, UnknownBenchmarkError, BenchmarkKindError, HubNameError),
        ),
        Exit.USAGE,
    ),
    (VerificationError, Exit.VERIFICATION),
    (
        (
            *(StorageError, OutputExistsError, StoreError, HubUnreachableError, ServerError),
            *(DownloadError, ChecksumError, ScratchSpaceError),
            *(MissingTokenError, RejectedTokenError, NotAllowedError),
            *(HubFullError, TooLargeForHubError, HubPortError),
            *(WorkError, ScheduledRunsError, EngineMismatchError, AbsentModelError),
        ),
        Exit.ENVIRONMENT,
    ),
    ((InfraError, QuantcoreError, EvaluationFileError), Exit.INPUT),
    ((OSError, MemoryError), Exit.ENVIRONMENT),
)
EXPECTED = (FlowError, InfraError, QuantcoreError)


class Terminated(BaseException):
    """SIGTERM came in."""


def code_of(error: BaseException) -> Exit:
    """Return the exit code that ``error`` ends a command with."""
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), Exit.BUG)


def finish(command: Callable[[], Exit], *, verbose: bool, after_interrupt: str = "") -> Exit:
    """Run ``command`` and return how it ended; whatever it raises is told on standard error.

    Args:
        command: What to run.
        verbose: Print tracebacks, too.
        after_interrupt: What a person should know who has just stopped it.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        with _signals_raise():
            return command()
    except BaseException as error:  # the one place where everything ends
        if verbose:
            traceback.print_exception(error, file=sys.stderr)
        if code := stopped_by(error):
            console.print(f"{code.name.capitalize()}. {after_interrupt}".rstrip(), markup=False)
            return code
        if not isinstance(error, Exception):
            raise
        console.print(told(error), markup=False)
        return code_of(error)


def stopped_by(error: BaseException) -> Exit | None:
    """Return which signal ended a command, if one did.

    A signal that comes while Prefect prepares a step makes the step fail of something else, so the
    errors that were under way are looked at, too.
    """
    under_way: BaseException | None = error
    while under_way is not None:
        if isinstance(under_way, KeyboardInterrupt):
            return Exit.INTERRUPTED
        # Prefect's own exception for SIGTERM goes by its name: importing it takes seconds.
        if isinstance(under_way, Terminated) or type(under_way).__name__ == "TerminationSignal":
            return Exit.TERMINATED
        under_way = under_way.__cause__ or under_way.__context__
    return None


def told(error: Exception) -> str:
    """Return the paragraph that ``error`` is told in."""
    text = " ".join(str(error).split())
    if isinstance(error, EXPECTED):
        return f"Error: {text}"
    if isinstance(error, MemoryError):
        return "Error: no memory is left. Lower --batch-size or compute.activation_gib."
    if isinstance(error, OSError):
        return f"Error: {text or type(error).__name__}. The system refused; --verbose tells where."
    return (
        f"Error: {type(error).__name__}: {text}. Nobody foresaw this; please report it with what "
        "--verbose prints. What was finished is kept."
    )


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into exceptions, so that a stop unwinds and leaves nothing behind.

    SIGINT, too: a command that a script starts in the background inherits that it is ignored, and
    whoever sends it to this process by its number means it.
    """

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = (
        (signal.SIGTERM, signal.signal(signal.SIGTERM, terminate)),
        (signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler)),
    )
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
