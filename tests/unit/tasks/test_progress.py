"""Steps tell how far they are on one logger, and need not know who listens."""

import logging

import pytest

from tasks.progress import LOGGER_NAME, AnswerEvent, ProgressEvent, emit, emit_answers, say

HALF = AnswerEvent("pile", "POPE", total=200, reused=40, computed=60, seconds=4.0)


def test_answers_are_told_with_their_rate(caplog: pytest.LogCaptureFixture) -> None:
    """As a line for people, and as the event itself for whoever draws bars."""
    with caplog.at_level(logging.INFO, LOGGER_NAME):
        emit_answers(HALF)

    (record,) = caplog.records
    assert record.getMessage() == "pile: POPE, 100 of 200 answers, 15.0 a second"
    assert record.event == HALF


def test_answers_on_record_are_no_rate() -> None:
    """What was computed counts, and at the very start nothing was."""
    assert HALF.per_second == 15
    assert HALF._replace(computed=0, reused=200).per_second == 0
    assert HALF._replace(computed=0, seconds=0.0).per_second == 0


def test_blocks_are_counted_from_one_for_people(caplog: pytest.LogCaptureFixture) -> None:
    """In the line, and not in the event."""
    event = ProgressEvent("llava", block=0, blocks=6, iteration=3, iters=50, loss=0.01234)

    with caplog.at_level(logging.INFO, LOGGER_NAME):
        emit(event)

    (record,) = caplog.records
    assert record.getMessage() == "llava: block 1 of 6, iteration 3 of 50, loss 0.0123"
    assert record.event == event


def test_a_line_is_said_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """A sign for percent in it is a sign for percent."""
    with caplog.at_level(logging.INFO, LOGGER_NAME):
        say("pile: 100% done %s")

    assert [record.getMessage() for record in caplog.records] == ["pile: 100% done %s"]


def test_nobody_has_to_listen() -> None:
    """Without a handler nothing happens, and nothing fails."""
    emit_answers(HALF)
