"""Commands end with a code that means something, and one paragraph."""

import errno
import os
import signal
from collections.abc import Callable

import pytest
from prefect.exceptions import TerminationSignal

from flows.cli import exits, pages
from flows.cli.exits import Exit
from flows.errors import EvaluationFileError, RecipeError, ServerError, VerificationError
from infra.errors import (
    ChecksumError,
    DifferentRowsError,
    DiskFullError,
    OutputExistsError,
    TokenizerDiffersError,
    TooFewSamplesError,
    UnknownBenchmarkError,
    UnknownRevisionError,
    UnknownRulesError,
)
from quantcore.errors import GroupSizeError, NonFiniteWeightError


def raising(error: BaseException) -> Callable[[], Exit]:
    """Return a command that raises ``error``."""

    def command() -> Exit:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RecipeError("x"), Exit.USAGE),
        (GroupSizeError(features_in=100, group_size=32), Exit.USAGE),
        (UnknownRevisionError("x"), Exit.INPUT),
        (NonFiniteWeightError(name="w", count=1, total=2), Exit.INPUT),
        (VerificationError("x"), Exit.VERIFICATION),
        (DiskFullError("x"), Exit.ENVIRONMENT),
        (OutputExistsError("x"), Exit.ENVIRONMENT),
        (ServerError("x"), Exit.ENVIRONMENT),
        (UnknownRulesError("x"), Exit.USAGE),
        (UnknownBenchmarkError("x"), Exit.USAGE),
        (TokenizerDiffersError("x"), Exit.INPUT),
        (DifferentRowsError("x"), Exit.INPUT),
        (EvaluationFileError("x"), Exit.INPUT),
        (ChecksumError("x"), Exit.ENVIRONMENT),
        (OSError(errno.EIO, "x"), Exit.ENVIRONMENT),
        (KeyError("x"), Exit.BUG),
    ],
)
def test_each_kind_of_error_has_its_code(
    error: Exception, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scripts branch on it; a traceback is never shown unasked."""
    assert exits.finish(raising(error), verbose=False) == code
    told = capsys.readouterr().err
    assert told.startswith("Error: ")
    assert len(told.splitlines()) == 1


def test_too_few_samples_is_bad_input() -> None:
    """It is the data that cannot be used."""
    assert issubclass(TooFewSamplesError, exits.EXPECTED)


def test_a_message_with_brackets_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Square brackets are no markup."""
    exits.finish(raising(RecipeError("calibration[0] [bold]x[/bold]")), verbose=False)

    assert capsys.readouterr().err == "Error: calibration[0] [bold]x[/bold]\n"


def test_verbose_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """For those who maintain."""
    exits.finish(raising(KeyError("x")), verbose=True)

    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)]
)
def test_signals_end_a_command_cleanly(
    number: signal.Signals, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    """The person reads what is kept, and the handlers are those from before."""
    before = signal.getsignal(number)

    def command() -> Exit:
        os.kill(os.getpid(), number)
        signal.pause()
        return Exit.OK

    assert exits.finish(command, verbose=False, after_interrupt="All is kept.") == code
    assert capsys.readouterr().err == f"{code.name.capitalize()}. All is kept.\n"
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(
    ("signal_", "code"),
    [(KeyboardInterrupt(), Exit.INTERRUPTED), (TerminationSignal(15), Exit.TERMINATED)],
)
def test_an_error_that_a_signal_caused_is_told_as_the_signal(
    signal_: BaseException, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prefect, caught while it prepares a step, fails of a step that is not there."""

    def command() -> Exit:
        try:
            raise signal_
        finally:
            raise ValueError("Task run is not set")

    assert exits.finish(command, verbose=False) == code
    assert capsys.readouterr().err == f"{code.name.capitalize()}.\n"


def test_the_help_page_lists_every_code() -> None:
    """Exit codes are part of the interface."""
    assert [code for code in Exit if f" {code.value} " not in pages.EXIT_CODES] == []
