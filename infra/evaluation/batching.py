"""Which questions go through the model together, with pictures ready when their turn comes.

Short prompts come first: if memory runs out, it does so near the end, and batches stay large until
then.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch

from infra.evaluation.inputs import Prompt

T = TypeVar("T")
R = TypeVar("R")

THREADS = 4
AHEAD = 2  # batches

Group = tuple[Prompt, ...]
"""Questions whose prompts are the same up to the end of the picture."""


@dataclass(slots=True)
class Limit:
    """Most rows at once, as far as is known."""

    rows: int


def by_length(prompts: Sequence[Prompt], rows: int) -> Iterator[Sequence[Prompt]]:
    """Yield batches of at most ``rows`` prompts of similar length, the shortest first."""
    ordered = sorted(prompts, key=lambda prompt: prompt.length)
    for start in range(0, len(ordered), rows):
        yield ordered[start : start + rows]


def by_picture(prompts: Sequence[Prompt], rows: int) -> Iterator[Sequence[Group]]:
    """Yield batches of groups, similar in length, of at most ``rows`` prompts in all.

    A group that is larger than that is a batch of its own.
    """
    groups: dict[tuple[bytes, tuple[int, ...]], list[Prompt]] = {}
    for prompt in prompts:
        groups.setdefault((prompt.request.image, prompt.head), []).append(prompt)
    batch: list[Group] = []
    for group in sorted(groups.values(), key=_lengths):
        if batch and sum(map(len, batch)) + len(group) > rows:
            yield batch
            batch = []
        batch.append(tuple(group))
    if batch:
        yield batch


def _lengths(group: Sequence[Prompt]) -> tuple[int, int]:
    return group[0].prefix_length, max(len(prompt.tail) for prompt in group)


def ahead(
    prepare: Callable[[T], R], batches: Iterator[Sequence[T]]
) -> Iterator[tuple[Sequence[T], Sequence[R]]]:
    """Yield each batch with what ``prepare`` makes of its items, made by threads ahead of time."""
    waiting: deque[tuple[Sequence[T], list[Future[R]]]] = deque()
    pool = ThreadPoolExecutor(THREADS)
    try:
        for batch in batches:
            waiting.append((batch, [pool.submit(prepare, item) for item in batch]))
            if len(waiting) > AHEAD:
                yield _finished(waiting.popleft())
        while waiting:
            yield _finished(waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(
    waiting: tuple[Sequence[T], list[Future[R]]],
) -> tuple[Sequence[T], Sequence[R]]:
    return waiting[0], [future.result() for future in waiting[1]]


def halving(run: Callable[[Sequence[T]], R], items: Sequence[T], limit: Limit) -> Iterator[R]:
    """Run all items, at most ``limit`` at once; where memory runs out, half as many.

    Args:
        run: May raise torch's `OutOfMemoryError`; it is then called again with fewer items.
        items: What it is called with, piece by piece, in order.
        limit: Lowered for all that come later.

    Raises:
        torch.OutOfMemoryError: A single item does not fit.
    """
    done = 0
    while done < len(items):
        part = items[done : done + limit.rows]
        try:
            result = run(part)
        except torch.OutOfMemoryError:
            if len(part) == 1:
                raise
        else:
            done += len(part)
            yield result
            continue
        # here the error, and what it held of the memory, is gone
        limit.rows = len(part) // 2
        torch.cuda.empty_cache()
