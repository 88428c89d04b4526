"""What does it cost that blocks are tasks of a flow, on a server with pages for people?

The demo model's blocks are quantized twice in every round: by the bare functions, and as the flow
that a run consists of, on a Prefect server on loopback.  Beside that, flow runs and task runs that
do nothing are timed, so that their number in a whole demo tells what the demo pays for them.  The
whole demo is timed last, which takes minutes.

    python -m benchmarks.orchestration --repeats 5
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import FlowRun

from benchmarks.measuring import FLOAT32
from flows import server
from flows.demonstration import demo_recipe, ensure_data
from flows.quantize import quantize_model
from flows.segment import quantize_segment
from infra.calibration.spec import CalibrationSpec
from infra.demo import MODEL_DIR
from infra.demo.datasets import write_text_set
from infra.models.source import ModelSource, resolve
from infra.store import Place, StoreAddress
from tasks.calibrate import collect_samples
from tasks.engine import open_model
from tasks.quantize import open_segment, quantize_block
from tasks.specs import QuantizationSpec, SegmentPlan

SMALL = (
    "quantization.iters=2", "calibration.pile.nsamples=8", "calibration.llava.nsamples=8",
    "evaluation.text.nsamples=8", "benchmarks.limit=8", "benchmarks.fidelity_prompts=8",
)  # fmt: skip
"""A demo with as many runs as any, and little in each."""

NOTHINGS = 40


class Round(NamedTuple):
    """Seconds of one round."""

    bare: float
    as_flow: float
    task_run: float
    flow_run: float


@task(cache_policy=NO_CACHE, persist_result=False)
def nothing() -> None:
    """Do nothing."""


@flow(persist_result=False)
def nothing_but_tasks() -> float:
    """Return the seconds of a task run that does nothing."""
    return seconds_of(lambda: [nothing() for _ in range(NOTHINGS)]) / NOTHINGS


@flow(persist_result=False)
def empty() -> None:
    """Do nothing."""


@flow(persist_result=False)
def nothing_but_flows() -> float:
    """Return the seconds of a flow run in another that does nothing."""
    return seconds_of(lambda: [empty() for _ in range(5)]) / 5


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


@dataclass(frozen=True, slots=True)
class Bench:
    """What all rounds share."""

    options: argparse.Namespace
    folder: Path
    source: ModelSource

    @property
    def blocks(self) -> int:
        """Blocks of the demo model."""
        return open_model(self.source.path, FLOAT32).family.blocks

    def plan(self, name: str) -> SegmentPlan:
        """Return the plan of all blocks, with a store that knows nothing of them."""
        place = Place.of(self.folder, StoreAddress(uri=str(self.folder / "stores" / name)))
        spec = CalibrationSpec(
            name="text", kind="text", source=str(self.folder / "text.jsonl"),
            nsamples=self.options.nsamples, seqlen=128, seed=42,
        )  # fmt: skip
        return SegmentPlan(
            variant="text",
            source=self.source,
            calibration=collect_samples.fn(spec, self.source, place),
            quantization=QuantizationSpec(iters=self.options.iters),
            compute=FLOAT32.model_copy(update={"threads": 1}),
            first_block=0,
            end_block=self.blocks,
            blocks=self.blocks,
            place=place,
        )

    def bare(self, plan: SegmentPlan) -> None:
        """Quantize all blocks without Prefect."""
        with open_segment(plan) as segment:
            for block in range(plan.end_block):
                quantize_block.fn(segment, block)

    def round(self, number: int) -> Round:
        """Time all of it once; which of both comes first alternates."""
        bare, as_flow = self.plan(f"bare-{number}"), self.plan(f"flow-{number}")
        ways = [
            ("bare", lambda: self.bare(bare)),
            ("flow", lambda: quantize_segment(as_flow)),
        ]
        seconds = {
            name: seconds_of(work) for name, work in (ways if number % 2 else reversed(ways))
        }
        return Round(seconds["bare"], seconds["flow"], nothing_but_tasks(), nothing_but_flows())


def runs_below(run: FlowRun) -> tuple[int, int]:
    """Return how many flow runs and task runs a run consists of, itself included."""
    with get_client(sync_client=True) as client:
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        tasks = len(client.read_task_runs(flow_run_filter=chosen))
        children = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id])
            )
        )
    below = [runs_below(child) for child in children]
    return 1 + sum(flows for flows, _ in below), tasks + sum(count for _, count in below)


class Demo(NamedTuple):
    """A demo without publishing: seconds, and runs of flows and of tasks."""

    seconds: float
    flows: int
    tasks: int


def demo_of(folder: Path, *overrides: str) -> Demo:
    """Carry one out, in a workspace of its own."""
    ensure_data(folder)
    recipe = demo_recipe(folder, (*overrides, "publish=null"))
    begun = time.perf_counter()
    state = quantize_model(recipe, folder, return_state=True)
    seconds = time.perf_counter() - begun
    if state.state_details.flow_run_id is None or not state.is_completed():
        raise RuntimeError(f"The demo did not complete: {state.name}: {state.message}")
    with get_client(sync_client=True) as client:
        return Demo(seconds, *runs_below(client.read_flow_run(state.state_details.flow_run_id)))


def table(rounds: list[Round], blocks: int, small: Demo, whole: Demo) -> str:
    """Return medians as Markdown."""
    bare, as_flow, task_run, flow_run = (
        statistics.median(column) for column in zip(*rounds, strict=True)
    )
    apart = statistics.median(each.as_flow - each.bare for each in rounds)

    def told(demo: Demo) -> str:
        paid = demo.flows * flow_run + demo.tasks * task_run
        return (
            f"{demo.flows} runs of flows and {demo.tasks} of tasks cost {paid:.1f} s "
            f"of {demo.seconds:.0f} s: {paid / demo.seconds:.1%}"
        )

    rows = (
        ("all blocks, bare functions", f"{bare:.2f} s"),
        ("all blocks, as a flow on a server", f"{as_flow:.2f} s"),
        ("the difference, median of the rounds' own", f"{apart:.2f} s"),
        ("of it for each block task", f"{apart / blocks:.2f} s"),
        ("a flow run that does nothing, in another", f"{flow_run:.2f} s"),
        (
            "for each block task, without that of the flow run",
            f"{(apart - flow_run) / blocks:.3f} s",
        ),
        ("a task run that does nothing", f"{task_run:.3f} s"),
        ("a demo with 2 iterations and 8 questions", told(small)),
        ("the whole demo, without publishing", told(whole)),
    )
    lines = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"| what | measured |\n| --- | --- |\n{lines}\n"


def page(options: argparse.Namespace, text: str, load: float) -> str:
    """Return the page that is kept."""
    return (
        f"# What orchestration costs: 2-core-cpu, {datetime.now(UTC):%Y-%m-%d}\n\n"
        f"    python -m benchmarks.orchestration {' '.join(sys.argv[1:])}\n\n"
        f"The demo model, {options.iters} iterations, {options.nsamples} samples of 128 tokens, "
        f"one thread; Prefect's server is a process of its own on the same {os.cpu_count()} cores, "
        f"on SQLite.  Medians of {options.repeats} rounds in which both ways take turns; the "
        f"load of the machine was {load:.1f} when it began.  Heartbeats are on: Prefect waits "
        f"for their thread at the end of each flow run, which is a second.\n\n{text}"
    )


def main() -> None:
    """Measure, print the table and write it to the results."""
    options = arguments()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_text_set(folder / "text.jsonl", count=200, seed=1)
        bench = Bench(options, folder, resolve(str(MODEL_DIR)))
        with server.connected(folder, keep=False):
            rounds = [bench.round(number) for number in range(options.repeats)]
            small, whole = demo_of(folder / "small", *SMALL), demo_of(folder / "whole")
        text = table(rounds, bench.blocks, small, whole)
    print(text)
    if options.out is not None:
        options.out.write_text(page(options, text, load), encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--iters", type=int, default=50)
    parser.add_argument("--nsamples", type=int, default=32)
    parser.add_argument("--out", type=Path, help="the page that is written")
    return parser.parse_args()


if __name__ == "__main__":
    main()
