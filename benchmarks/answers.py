"""Answers per second one by one, batched, and with the image prefix shared, side by side.

    python -m benchmarks.answers --repeats 3

The three ways take turns on every benchmark, so that a busy minute hits them alike; what is told is
the median of each and the median of the ratios within a turn.  Answers are compared with those of
one by one, row by row: text, number of tokens, and whether they were cut.

How much sharing saves depends on the share of a prompt that is picture.  The demo model takes 16
tokens of picture beside 30 to 130 of text, a 7B model some 1,300 beside 60; `--largest` scales the
demo's pictures up to the 64 tokens that its model admits.
"""

import argparse
import datetime as dt
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from transformers.utils import logging as chatter

from infra.demo import MODEL_DIR
from infra.demo.benchmarks import write_benchmarks
from infra.evaluation.catalog import of_folder
from infra.evaluation.engine import Answer, Generation, Request
from infra.evaluation.greedy import decode
from infra.evaluation.images import as_asked
from infra.evaluation.inputs import open_prompter
from infra.evaluation.prefix import read_whole
from infra.evaluation.prompts import prompt
from infra.evaluation.stopping import stop_tokens
from infra.evaluation.table import read_table
from infra.evaluation.transformers_engine import Mode, TransformersEngine
from infra.models.loading import load
from infra.models.tensors import TensorIndex

ROOT = Path(__file__).parents[1]
MODES: tuple[Mode, ...] = get_args(Mode)
REFERENCE = MODES[0]
LARGEST = 10**9


@dataclass(frozen=True, slots=True)
class Questions:
    """One benchmark as it is asked."""

    name: str
    asked: tuple[Request, ...]
    generation: Generation


@dataclass(frozen=True, slots=True)
class Turn:
    """One way, once through one benchmark."""

    questions: Questions
    mode: Mode
    seconds: float
    answers: dict[int, Answer]

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.answers) / self.seconds


@dataclass(frozen=True, slots=True)
class Bench:
    """What is asked, and who."""

    options: argparse.Namespace
    model: Any
    questions: tuple[Questions, ...]

    def turn(self, questions: Questions, mode: Mode) -> Turn:
        """Answer a benchmark; opening the tokenizer is not counted."""
        engine = TransformersEngine(self.model, self.options.model, questions.generation, mode=mode)
        clock = time.process_time if self.options.cpu_time else time.perf_counter
        start = clock()
        said = [answer for batch in engine.answer(questions.asked) for answer in batch]
        self._wait()
        seconds = clock() - start
        return Turn(questions, mode, seconds, {answer.index: answer for answer in said})

    def _wait(self) -> None:
        if self.model.device.type == "cuda":
            torch.cuda.synchronize()

    def turns(self) -> Iterator[Turn]:
        """Yield every way on every benchmark, ``repeats`` times, in turns."""
        for _ in range(self.options.repeats):
            for questions in self.questions:
                for mode in MODES:
                    yield self.turn(questions, mode)


def prepare(options: argparse.Namespace, work: Path) -> Bench:
    """Load the model and lay out the questions."""
    folder = options.benchmarks or work
    if options.benchmarks is None:
        write_benchmarks(folder, seed=0)
    asked = [_questions(path, options) for path in sorted(folder.glob("*.tsv"))]
    tensors, dtype = TensorIndex.open(options.model), getattr(torch, options.dtype)
    weights = {name: tensors.load(name).to(dtype) for name in tensors.names}
    model = load(options.model, weights, device=options.device, dtype=dtype).model
    return Bench(options, model, tuple(asked))


def _questions(path: Path, options: argparse.Namespace) -> Questions:
    table = read_table(path, of_folder(path.parent)[path.stem])
    images = {name: as_asked(data, "vlmevalkit") for name, data in table.images.items()}
    kind = table.benchmark.kind
    asked = (Request(q.index, images[q.image], prompt(q, kind)) for q in table.questions)
    generation = Generation(
        max_new_tokens=options.max_new_tokens,
        min_pixels=table.benchmark.min_pixels,
        max_pixels=table.benchmark.max_pixels,
        batch_size=options.batch_size,
    )
    if options.largest:
        most = open_prompter(options.model, Generation()).bounds.largest
        generation = replace(generation, min_pixels=most, max_pixels=most)
    return Questions(path.stem, tuple(asked)[: options.limit], generation)


def differing(turns: Sequence[Turn], mode: Mode) -> dict[str, list[int]]:
    """Return, by benchmark, which rows ever got another answer than one by one."""
    reference = {turn.questions.name: turn for turn in turns if turn.mode == REFERENCE}
    found: dict[str, set[int]] = {name: set() for name in reference}
    for turn in turns:
        if turn.mode == mode:
            truth = reference[turn.questions.name].answers
            found[turn.questions.name] |= {i for i in truth if turn.answers.get(i) != truth[i]}
    return {name: sorted(rows) for name, rows in found.items()}


@torch.inference_mode()
def narrowest(bench: Bench, questions: Questions, index: int) -> float:
    """Return by how little the likeliest token of an answer was ahead, where it was least so."""
    prompter = open_prompter(bench.options.model, questions.generation)
    (row,) = prompter.prompts([each for each in questions.asked if each.index == index])
    pixels = [prompter.pixels(row)]
    stop = stop_tokens(bench.options.model, prompter.processor.tokenizer)
    opened = read_whole(bench.model, [row], pixels)
    (said,) = decode(bench.model, opened, stop=stop, longest=questions.generation.max_new_tokens)
    gaps = []
    for length in range(len(said.tokens) + 1):
        so_far = replace(row, tail=(*row.tail, *said.tokens[:length]))
        first, second = read_whole(bench.model, [so_far], pixels).logits[0].float().topk(2).values
        gaps.append(float(first - second))
    return min(gaps)


def rows(bench: Bench, turns: Sequence[Turn]) -> Iterator[str]:
    """Write the lines of the table."""
    yield (
        "| benchmark | rows | pictures | tokens: picture + text | one by one | batched "
        "| shared prefix | batched | shared | rows that differ: batched, shared |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    apart = {mode: differing(turns, mode) for mode in MODES[1:]}
    for questions in bench.questions:
        mine = {
            mode: [t for t in turns if t.questions.name == questions.name and t.mode == mode]
            for mode in MODES
        }
        speeds = [statistics.median(turn.rate for turn in mine[mode]) for mode in MODES]
        gains = [
            statistics.median(
                turn.rate / base.rate
                for turn, base in zip(mine[mode], mine[REFERENCE], strict=True)
            )
            for mode in MODES[1:]
        ]
        differ = ", ".join(str(len(apart[mode][questions.name])) for mode in MODES[1:])
        yield (
            f"| {questions.name} | {len(questions.asked)} | {_pictures(questions)} "
            f"| {_tokens(bench, questions)} "
            f"| {' | '.join(f'{speed:.1f}/s' for speed in speeds)} "
            f"| {' | '.join(f'{gain:.1f} x' for gain in gains)} | {differ} |"
        )


def _pictures(questions: Questions) -> int:
    return len({request.image for request in questions.asked})


def _tokens(bench: Bench, questions: Questions) -> str:
    prompts = open_prompter(bench.options.model, questions.generation).prompts(questions.asked)
    picture = statistics.median(each.picture_tokens for each in prompts)
    text = statistics.median(each.length - each.picture_tokens for each in prompts)
    return f"{picture:.0f} + {text:.0f}"


def reasons(bench: Bench, turns: Sequence[Turn]) -> Iterator[str]:
    """Say of the first rows that differ how near a tie they were."""
    by_name = {questions.name: questions for questions in bench.questions}
    for mode in MODES[1:]:
        for name, indices in differing(turns, mode).items():
            for index in indices[:3]:
                gap = narrowest(bench, by_name[name], index)
                said = [
                    next(t.answers[index].text for t in turns if (t.questions.name, t.mode) == key)
                    for key in ((name, REFERENCE), (name, mode))
                ]
                yield (
                    f"- {name} {index}, {mode}: {said[0]!r} became {said[1]!r}; the likeliest "
                    f"token was ahead by {gap:.3g} in its logit where it was least so."
                )


def report(bench: Bench, turns: Sequence[Turn]) -> str:
    """Write the page."""
    options = bench.options
    setting = (
        f"{options.name} in {options.dtype} on {options.device} ({options.hardware}), "
        f"{torch.get_num_threads()} threads, batches of {options.batch_size}, at most "
        f"{options.max_new_tokens} new tokens; median of {options.repeats} turns, the ways taking "
        "turns in one run. Ratios are to one by one, within a turn. A second is one of "
        f"{'processor time' if options.cpu_time else 'the clock'}."
    )
    versions = f"torch {torch.__version__}, {platform.machine()}."
    why = list(reasons(bench, turns)) or ["No row differs."]
    title = f"# Answers per second: {options.name}, {options.hardware}, {options.date}"
    return "\n".join([title, "", setting, versions, "", *rows(bench, turns), "", *why]) + "\n"


def main() -> None:
    """Run all ways and print the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--name", default="demo", help="what the page calls the model")
    parser.add_argument("--benchmarks", type=Path, help="folder of tables; default: the demo's")
    parser.add_argument("--limit", type=int, help="questions of each benchmark")
    parser.add_argument("--largest", action="store_true", help="pictures as large as it admits")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cpu-time", action="store_true", help="for a machine that is busy")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--hardware", default=f"{os.cpu_count()}-core-cpu")
    parser.add_argument("--date", default=dt.datetime.now(dt.UTC).date().isoformat())
    parser.add_argument("--out", type=Path, help="folder to write the page to")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    chatter.set_verbosity_error()
    with tempfile.TemporaryDirectory() as work:
        bench = prepare(options, Path(work))
        turns = []
        for turn in bench.turns():
            turns.append(turn)
            print(f"{turn.questions.name}, {turn.mode}: {turn.rate:.1f}/s", flush=True)
        page = report(bench, turns)
    print(page)
    if options.out is not None:
        kind = "-largest" if options.largest else ""
        name = f"answers_{options.name}{kind}_{options.dtype}_{options.hardware}_{options.date}.md"
        (options.out / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
