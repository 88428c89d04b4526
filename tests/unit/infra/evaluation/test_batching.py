"""Every question goes through once, in batches that memory holds, in an order that saves work."""

import threading
import time
from collections.abc import Iterator, Sequence

import pytest
import torch

from infra.evaluation.batching import AHEAD, Limit, ahead, by_length, by_picture, halving
from infra.evaluation.engine import Request
from infra.evaluation.inputs import Prompt


def prompts(*shapes: tuple[str, int, int], head: tuple[int, ...] = (7,)) -> list[Prompt]:
    """Return prompts by name of picture, tokens of it, and tokens of the question."""
    return [
        Prompt(Request(index, image.encode(), ""), head, picture, (1,) * tail, (28, 28))
        for index, (image, picture, tail) in enumerate(shapes)
    ]


def indices(batch: Sequence[Prompt]) -> list[int]:
    """Return which questions a batch holds."""
    return [prompt.request.index for prompt in batch]


def test_prompts_are_batched_by_their_whole_length() -> None:
    """The shortest come first, and no batch has more rows than allowed."""
    asked = prompts(("a", 9, 9), ("b", 1, 2), ("c", 4, 1), ("d", 4, 4), ("e", 1, 1))

    assert [indices(batch) for batch in by_length(asked, 2)] == [[4, 1], [2, 3], [0]]


def test_questions_about_a_picture_are_one_group() -> None:
    """Groups are packed whole while they fit; pictures of similar size meet in a batch."""
    asked = prompts(("a", 9, 1), ("b", 4, 1), ("a", 9, 2), ("c", 4, 1), ("b", 4, 1), ("d", 9, 1))

    batches = [[indices(group) for group in batch] for batch in by_picture(asked, 3)]

    assert batches == [[[1, 4], [3]], [[5], [0, 2]]]


def test_a_group_that_is_larger_than_a_batch_stays_whole() -> None:
    """Its picture is read once all the same."""
    asked = prompts(*[("a", 4, 1)] * 5, ("b", 9, 1))

    assert [list(map(len, batch)) for batch in by_picture(asked, 2)] == [[5], [1]]


def test_another_beginning_is_another_group() -> None:
    """Only what is the same up to the end of the picture is shared."""
    asked = prompts(("a", 4, 1)) + prompts(("a", 4, 1), head=(8,))

    assert [list(map(len, batch)) for batch in by_picture(asked, 9)] == [[1, 1]]


@pytest.mark.parametrize("order", [by_length, by_picture])
def test_nothing_to_ask_is_no_batch(order: object) -> None:
    """An empty shard costs nothing."""
    assert callable(order)
    assert list(order([], 4)) == []


def test_batches_are_prepared_ahead_and_handed_over_in_order() -> None:
    """While one batch is worked on, the next ones are prepared by other threads, and no more."""
    threads, prepared = set(), []

    def prepare(item: int) -> int:
        threads.add(threading.current_thread())
        prepared.append(item)
        return 10 * item

    handed = []
    batches = iter([[1, 2], [3], [4, 5], [6], [7], [8]])
    for batch, results in ahead(prepare, batches):
        if not handed:
            while len(prepared) < 5:
                time.sleep(0.001)
            time.sleep(0.01)
            assert sorted(prepared) == [1, 2, 3, 4, 5]  # this batch and AHEAD more
        handed.append((batch, results))

    assert AHEAD == 2
    assert handed == [
        ([1, 2], [10, 20]), ([3], [30]), ([4, 5], [40, 50]), ([6], [60]), ([7], [70]), ([8], [80]),
    ]  # fmt: skip
    assert threading.current_thread() not in threads


def test_what_fails_in_a_thread_fails_where_it_is_needed() -> None:
    """Batches before a broken picture are handed over first; then its error comes as it is."""

    def prepare(item: int) -> int:
        if item == 3:
            raise KeyError(item)
        return item

    done: list[Sequence[int]] = []
    with pytest.raises(KeyError, match="3"):
        done.extend(results for _, results in ahead(prepare, iter([[1], [2], [3], [4]])))
    assert done == [[1], [2]]


def fits(most: int, seen: list[int]) -> object:
    """Return a function that runs out of memory with more than ``most`` items."""

    def run(items: Sequence[int]) -> list[int]:
        seen.append(len(items))
        if len(items) > most:
            message = "CUDA out of memory"
            raise torch.OutOfMemoryError(message)
        return list(items)

    return run


@pytest.mark.parametrize("most", range(1, 12))
def test_where_memory_runs_out_half_as_many_go_on(most: int) -> None:
    """Every item runs once, in order, whatever fits; what was found out holds for later calls."""
    limit, seen = Limit(11), list[int]()
    run = fits(most, seen)
    assert callable(run)

    first = [item for part in halving(run, range(30), limit) for item in part]
    failed = sum(size > most for size in seen)
    seen.clear()
    second = [item for part in halving(run, range(30), limit) for item in part]

    assert first == second == list(range(30))
    assert (failed == 0) == (most == 11)
    assert max(seen) <= most
    assert limit.rows <= most


def test_a_single_item_that_does_not_fit_is_an_error() -> None:
    """There is nothing left to halve; what was done before was handed over."""

    def run(items: Sequence[int]) -> list[int]:
        if 2 in items:
            message = "out of memory"
            raise torch.OutOfMemoryError(message)
        return list(items)

    parts: Iterator[list[int]] = halving(run, [0, 1, 2, 3], Limit(2))

    assert next(parts) == [0, 1]
    with pytest.raises(torch.OutOfMemoryError):
        next(parts)
