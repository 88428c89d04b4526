"""Progress is drawn as bars on a terminal and told in lines elsewhere."""

import io
import logging

import pytest
from rich.console import Console
from rich.progress import Progress

from flows.cli import watching
from tasks.progress import LOGGER_NAME, AnswerEvent, ProgressEvent, emit, emit_answers, say

EVENT = ProgressEvent(variant="pile", block=1, blocks=6, iteration=50, iters=200, loss=0.0123)
ANSWERS = AnswerEvent("16bits", "POPE", total=90, reused=30, computed=15, seconds=6.0)


def watch(*, terminal: bool) -> tuple[Console, io.StringIO]:
    """Return a console that writes into a string."""
    target = io.StringIO()
    return Console(file=target, force_terminal=terminal, width=100), target


def test_lines_are_plain_where_there_is_no_terminal() -> None:
    """A log file holds no control characters, and not a line an iteration."""
    console, target = watch(terminal=False)
    with watching.watched(console, verbose=False):
        say("pile: drawing samples")
        for _ in range(100):
            emit(EVENT)

    assert target.getvalue() == "pile: drawing samples\n"


def test_a_long_block_is_heard_of_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence for an hour would look like a hang."""
    monkeypatch.setattr(watching, "PLAIN_SECONDS", 0.0)
    console, target = watch(terminal=False)
    with watching.watched(console, verbose=False):
        emit(EVENT)

    assert target.getvalue() == "pile: block 2 of 6, iteration 50 of 200, loss 0.0123\n"


def test_bars_show_block_iteration_loss_and_time_left() -> None:
    """What a person waits for."""
    console, target = watch(terminal=True)
    with watching.watched(console, verbose=False):
        emit(EVENT)
        say("pile: [block] done")

    assert "block 2 of 6, iteration 50 of 200, loss 0.0123" in target.getvalue()
    assert "pile: [block] done" in target.getvalue()
    assert "left" in target.getvalue()


def test_a_bar_runs_over_all_blocks_of_its_variant() -> None:
    """The time left is that of the variant, not of the block."""
    bars = Progress(console=Console(file=io.StringIO()))
    handler = watching.BarHandler(bars)
    for variant in ("pile", "llava", "pile"):
        record = logging.makeLogRecord({"event": EVENT._replace(variant=variant)})
        handler.emit(record)

    assert [(task.description, task.completed, task.total) for task in bars.tasks] == [
        ("pile", 250, 1200),
        ("llava", 250, 1200),
    ]


def test_answers_are_told_with_their_rate_and_the_time_left() -> None:
    """What was on record is done, but says nothing about the speed."""
    console, target = watch(terminal=True)
    with watching.watched(console, verbose=False):
        emit_answers(ANSWERS)

    assert "16bits: POPE" in target.getvalue()
    assert "45 of 90 answers, 2.5 a second" in target.getvalue()
    assert "left" in target.getvalue()


def test_each_model_and_benchmark_has_a_bar_of_its_own() -> None:
    """Models answer side by side."""
    bars = Progress(console=Console(file=io.StringIO()))
    handler = watching.BarHandler(bars)
    for subject in ("16bits", "pile", "16bits"):
        handler.emit(logging.makeLogRecord({"event": ANSWERS._replace(subject=subject)}))

    assert [(task.description, task.completed, task.total) for task in bars.tasks] == [
        ("16bits: POPE", 45, 90),
        ("pile: POPE", 45, 90),
    ]


def test_the_logger_is_left_as_it_was() -> None:
    """Also when the run fails."""
    logger = logging.getLogger(LOGGER_NAME)
    before = (list(logger.handlers), logger.level, logger.propagate)
    console, _ = watch(terminal=False)
    with pytest.raises(KeyError), watching.watched(console, verbose=False):
        raise KeyError

    assert (list(logger.handlers), logger.level, logger.propagate) == before


@pytest.mark.parametrize(
    ("name", "level", "expected"),
    [
        ("prefect.flow_runs", logging.INFO, "quiet"),
        ("prefect.task_runs", logging.WARNING, "shown"),
        ("prefect.task_runs", logging.ERROR, "quiet"),
        ("prefect.engine", logging.ERROR, "quiet"),
        ("prefect.client", logging.ERROR, "shown"),
        ("transformers", logging.WARNING, "shown"),
    ],
)
def test_warnings_reach_the_console_and_run_noise_does_not(
    name: str, level: int, expected: str
) -> None:
    """What a run failed of is told once, by the command."""
    record = logging.makeLogRecord({"name": name, "levelno": level})
    actual = "shown" if watching.worth_a_line(record) else "quiet"

    assert actual == expected
