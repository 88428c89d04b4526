"""How does a server on SQLite stand several runs at once: Prefect's own, and as it is started here?

Each way, a server is started on an empty database and told of the automations that find lost runs;
then runs take steps at the same time, with a heartbeat at each.  Told are the seconds until all
have ended, how often the database refused somebody ("database is locked"), and the longest time in
which the server answered nothing at all.

    python -m benchmarks.server_writers --repeats 3
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from prefect import flow, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.settings import temporary_settings

from flows import processes
from flows.embedded import HOST
from flows.server import CLIENT_DEFAULTS
from flows.server_process import base_environment, healthy
from flows.service.automations import ensure_automations
from flows.service.backing import Backing
from infra.ports import reserving_socket

WAYS = {"Prefect's own": "prefect", "as it is started here": "flows.service.serving"}
START_SECONDS, POLL_SECONDS, LOOK_SECONDS = 180.0, 0.5, 0.2
REFUSAL = "database is locked"


class Round(NamedTuple):
    """What one server stood."""

    seconds: float | None  # None: the runs had not ended when the time was up
    refusals: int
    silent: float  # the longest time in which it answered nothing, seconds


@task(cache_policy=NO_CACHE, persist_result=False)
def step() -> None:
    """Say that the run lives."""
    run = f"prefect.flow-run.{runtime.flow_run.id}"
    emit_event("prefect.flow-run.heartbeat", resource={"prefect.resource.id": run})


@flow(persist_result=False)
def several_steps(steps: int) -> None:
    """Take some steps."""
    for _ in range(steps):
        step()


def carry_out(api_url: str, runs: int, steps: int) -> None:
    """Let runs take their steps at the same time, in this process."""
    settings = {**CLIENT_DEFAULTS, "api.url": api_url, "flows.heartbeat_frequency": None}
    with temporary_settings(settings), ThreadPoolExecutor(runs) as pool:
        with get_client(sync_client=True) as client:
            ensure_automations(client)
        for run in [pool.submit(copy_context().run, several_steps, steps) for _ in range(runs)]:
            run.result()


@contextmanager
def serving(module: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Run a server, and yield its address and its log."""
    (folder / "prefect").mkdir()
    log = folder / "server.log"
    with reserving_socket(HOST, 0) as reservation:
        port = reservation.getsockname()[1]
        pid = processes.start_detached(
            [sys.executable, "-m", module, "server", "start", "--host", HOST, "--port", str(port)],
            environment=base_environment(folder, Backing(None, None), os.environ),
            log=log,
        )
        api_url = f"http://{HOST}:{port}/api"
        deadline = time.monotonic() + START_SECONDS
        while not healthy(api_url):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(POLL_SECONDS)
    try:
        yield api_url, log
    finally:
        processes.stop(pid)


def measured(module: str, options: argparse.Namespace) -> Round:
    """Start a server and let runs begin, in a process that is ended when the time is up."""
    with tempfile.TemporaryDirectory() as scratch, serving(module, Path(scratch)) as (url, log):
        command = [
            sys.executable, "-m", "benchmarks.server_writers", "--carry-out", url,
            "--runs", str(options.runs), "--steps", str(options.steps),
        ]  # fmt: skip
        with watching(url) as silences:
            begun = time.perf_counter()
            client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                code = client.wait(timeout=options.patience)
                seconds = time.perf_counter() - begun if code == 0 else None
            except subprocess.TimeoutExpired:
                client.kill()
                client.wait()
                seconds = None
        return Round(seconds, log.read_text(errors="replace").count(REFUSAL), max(silences))


@contextmanager
def watching(api_url: str) -> Iterator[list[float]]:
    """Ask a server for its health all the time; how long each answer took is in what is yielded."""
    took, over = [0.0], threading.Event()

    def ask() -> None:
        last = time.perf_counter()
        while not over.wait(LOOK_SECONDS):
            answered = healthy(api_url)
            now = time.perf_counter()
            took.append(now - last)
            last = now if answered else last

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield took
    finally:
        over.set()
        asking.join()


def table(rounds: dict[str, list[Round]], patience: float) -> str:
    """Return medians and extremes as Markdown."""
    lines = [
        "| server | seconds, median | not done in time | refusals, median | longest silence |",
        "| --- | --- | --- | --- | --- |",
    ]
    for way, found in rounds.items():
        ended = [each.seconds for each in found if each.seconds is not None]
        late = len(found) - len(ended)
        seconds = statistics.median([*ended, *[patience] * late])
        refusals = statistics.median(each.refusals for each in found)
        silent = max(each.silent for each in found)
        lines.append(
            f"| {way} | {'over ' if seconds == patience else ''}{seconds:.1f} "
            f"| {late} of {len(found)} | {refusals:.0f} | {silent:.1f} s |"
        )
    return "\n".join(lines) + "\n"


def page(options: argparse.Namespace, text: str, load: float) -> str:
    """Return the page that is kept."""
    return (
        f"# Several runs at once on a server with SQLite: 2-core-cpu, {datetime.now(UTC):%Y-%m-%d}"
        f"\n\n    python -m benchmarks.server_writers {' '.join(sys.argv[1:])}\n\n"
        f"{options.runs} runs at once, {options.steps} task runs with a heartbeat in each; "
        f"servers each way, which take turns: {options.repeats}; the load of the machine was "
        f"{load:.1f} when it began.  Seconds are those of the process that carries the runs out, "
        f"its start included; after {options.patience:.0f} it is ended.\n\n{text}"
    )


def main() -> None:
    """Measure, print the table and write it to the results."""
    options = arguments()
    if options.carry_out is not None:
        carry_out(options.carry_out, options.runs, options.steps)
        return
    load = os.getloadavg()[0]
    rounds: dict[str, list[Round]] = {way: [] for way in WAYS}
    for _ in range(options.repeats):
        for way, module in WAYS.items():
            rounds[way].append(measured(module, options))
    text = table(rounds, options.patience)
    print(text)
    if options.out is not None:
        options.out.write_text(page(options, text, load), encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--patience", type=float, default=120.0, help="seconds")
    parser.add_argument("--out", type=Path, help="the page that is written")
    parser.add_argument("--carry-out", help="address of a server: only carry the runs out there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
