"""A worker that must go lets go of its block at once, and leaves what was finished and no more."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from infra.models.source import resolve
from tasks.calibrate import collect_samples
from tasks.specs import SegmentPlan
from tests.support.calibration import a_spec, write_documents
from tests.support.places import place_at
from tests.support.runs import BLOCKS, LEARNED, World, digests, quantized
from tests.support.tiny import write_tiny_qwen2_vl

LONG = LEARNED.model_copy(update={"iters": 20_000, "lr": 0.0001})  # minutes a block
SHORT = LEARNED.model_copy(update={"iters": 4})
STOP_SECONDS = 20.0  # of a machine with other things to do; alone it takes one or two
WORKER = """
import logging, sys
from flows.segment import quantize_segment
from tasks.progress import LOGGER_NAME
from tasks.specs import SegmentPlan

class Telling(logging.Handler):
    def emit(self, record):
        event = record.__dict__.get("event")
        if event is not None and event.iteration == 2:
            print("at work", flush=True)

logging.getLogger(LOGGER_NAME).addHandler(Telling())
logging.getLogger(LOGGER_NAME).setLevel(logging.INFO)
quantize_segment(SegmentPlan.model_validate_json(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a model of three blocks, and 12 texts."""
    root = tmp_path_factory.mktemp("world")
    source = resolve(str(write_tiny_qwen2_vl(root / "model", blocks=BLOCKS, hidden=128)))
    spec = a_spec(write_documents(root / "texts.jsonl", 30), nsamples=12, seqlen=32)
    texts = collect_samples.fn(spec, source, place_at(root / "store"))
    return World(source, root / "store", texts, texts)


@contextmanager
def at_work(plan: SegmentPlan, api_url: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process that quantizes a segment, and go on when it tunes a block."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, plan.model_dump_json()],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PREFECT_API_URL": api_url},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[str], how: signal.Signals) -> float:
    """Send a signal, and return the seconds until the process has ended."""
    started = time.monotonic()
    process.send_signal(how)
    process.wait(STOP_SECONDS)
    return time.monotonic() - started


def state_of(title: str) -> str:
    """Return the state of the last run of this name."""
    with get_client(sync_client=True) as client:
        runs = [run for run in client.read_flow_runs() if run.name == title]
    state = max(runs, key=lambda run: run.created or run.expected_start_time).state
    assert state is not None
    return state.name


def test_a_terminated_segment_ends_in_the_block_and_says_so(
    world: World, tmp_path: Path, prefect_api_url: str
) -> None:
    """SIGTERM, as a spot machine gets it: scratch is gone, no half object, the run has crashed."""
    plan = world.plan(tmp_path, quantization=LONG, variant="terminated")
    scratch = plan.place.local / "scratch"
    with at_work(plan, prefect_api_url) as process:
        during = list(scratch.iterdir())
        seconds = stopped(process, signal.SIGTERM)

    assert seconds < STOP_SECONDS
    assert process.returncode == -signal.SIGTERM
    assert len(during) == 1
    assert list(scratch.iterdir()) == []
    assert list((tmp_path / "tmp").iterdir()) == []
    assert [path.name for path in tmp_path.glob("manifests/*")] == []
    assert state_of(plan.title) == "Crashed"


def test_a_killed_segment_leaves_a_folder_that_the_next_one_sweeps(
    world: World, tmp_path: Path, prefect_api_url: str
) -> None:
    """After kill -9 the next segment of this machine cleans up; codes are what they were."""
    plan = world.plan(tmp_path, quantization=LONG, variant="killed")
    scratch = plan.place.local / "scratch"
    with at_work(plan, prefect_api_url) as process:
        stopped(process, signal.SIGKILL)
    left = list(scratch.iterdir())

    records = quantized(world.plan(tmp_path, quantization=SHORT))

    assert len(left) == 1
    assert list(scratch.iterdir()) == []
    undisturbed = quantized(world.plan(tmp_path / "alone", quantization=SHORT))
    assert digests(records) == digests(undisturbed)
