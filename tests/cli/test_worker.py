"""`roundhouse worker` says at the door why it cannot work."""

from pathlib import Path

import pytest

from tests.cli.conftest import Roundhouse, environment_with, run_in

NOBODY = "http://127.0.0.1:9/api"  # the port of "discard", where nothing listens


def test_a_worker_without_a_service_asks_for_one(tmp_path: Path) -> None:
    """With both remedies: an address, or one that is started here."""
    environment = {name: value for name, value in environment_with("").items() if value}

    told = run_in(tmp_path, environment, ["worker", "--device", "cpu"])

    assert told.code == 5
    assert "Which service is this worker to join? Set PREFECT_API_URL" in told.err
    assert "roundhouse up --workspace" in told.err


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    """Prefect's own worker would wait for it, and say nothing of where."""
    told = run_in(tmp_path, environment_with(NOBODY), ["worker", "--device", "cpu"])

    assert told.code == 5
    assert f"The Prefect server at {NOBODY} does not answer" in told.err
    assert "Traceback" not in told.err


def test_a_server_that_is_no_service_of_ours_is_refused(roundhouse: Roundhouse) -> None:
    """Prefect's own worker would make a pool, and wait in it for work that never comes."""
    told = roundhouse("worker", "--pool", "cpu")

    assert told.code == 5
    assert "has no work pool cpu" in told.err
    assert "flows.service.registering" in told.err


@pytest.mark.parametrize(
    ("device", "words"),
    [("7", "no GPU 7"), ("tpu", "--device tpu: may be auto, cpu, or the number of a GPU")],
)
def test_a_device_that_is_not_there_is_refused(
    roundhouse: Roundhouse, device: str, words: str
) -> None:
    """Before anybody is asked."""
    told = roundhouse("worker", "--device", device)

    assert (told.code, words in told.err) == (2, True), told.err
