"""A run that is stopped in the middle of a block goes on, and ends in the same bytes."""

import hashlib
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Roundhouse, names_in

ITERS = "120"
PATIENCE_SECONDS = 400


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def arguments(model: Path, data: Path, folder: Path) -> list[str]:
    """Return a command line that works in ``folder``; a block takes a second or more."""
    return [
        "quantize", "--model", str(model), "--calibration", str(data / "texts.jsonl"),
        "--nsamples", "8", "--seqlen", "64", "--iters", ITERS, "--threads", "1",
        "--output-dir", str(folder / "out"), "--workspace", str(folder / "workspace"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Hold the digests of a run that nobody stopped, once it was made."""
    assert tmp_path_factory
    return {}


def stop_in_a_block(
    command: list[str], environment: dict[str, str], log: Path, number: signal.Signals
) -> int:
    """Start a command, signal it shortly after its first block, and return its exit code."""
    with log.open("w") as err:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=err, env=environment)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "block 1 of 4: held-out" not in log.read_text() and time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)
    process.send_signal(number)
    return process.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "Terminated.")],
)
def test_a_stopped_run_goes_on_and_ends_in_the_same_bytes(  # noqa: PLR0913, PLR0917 -- fixtures
    command: list[str],
    environment: dict[str, str],
    roundhouse: Roundhouse,
    four_blocks: Path,
    cli_data: Path,
    tmp_path: Path,
    undisturbed: dict[str, dict[str, str]],
    number: signal.Signals,
    code: int,
    word: str,
) -> None:
    """Nothing is half-written, nothing that was finished is lost, and the codes are the same."""
    log = tmp_path / "log"
    line = arguments(four_blocks, cli_data, tmp_path)
    ended = stop_in_a_block([*command, *line], environment, log, number)
    told = log.read_text()

    assert (ended, told.splitlines()[-1].split()[0]) == (code, word), told
    assert "Traceback" not in told
    assert "the same command goes on from there" in told
    assert not (tmp_path / "out").exists()
    store = tmp_path / "workspace" / "store"
    assert names_in(store / "scratch") == []
    assert names_in(store / "tmp") == []

    resumed = roundhouse(*line)
    assert resumed.code == 0, resumed.err
    assert "texts: block 1 of 4: taken from the store" in resumed.err
    assert "texts: block 4 of 4: held-out loss" in resumed.err

    if not undisturbed:
        whole = roundhouse(*arguments(four_blocks, cli_data, tmp_path / "whole"))
        assert whole.code == 0, whole.err
        undisturbed |= {"out": digests(tmp_path / "whole" / "out")}
    assert digests(tmp_path / "out") == undisturbed["out"]
