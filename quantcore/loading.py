"""Gather batches from chains; for a GPU, the next one while it works on the last.

Chains live in the memory of the machine.  At the reference size a step needs 235 MB of two of them,
and to gather and copy that takes as long as the GPU takes for the step.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from quantcore.activations import Batch, Chain

S = TypeVar("S")
T = TypeVar("T")


def loaded(
    chains: Sequence[Chain],
    groups: Iterable[Sequence[int]],
    device: torch.device,
    dtype: torch.dtype,
) -> Iterator[tuple[Batch, ...]]:
    """Yield one batch from each chain for each group of samples, on ``device`` in ``dtype``.

    Groups are read one ahead; a chain may be written meanwhile where the next group does not read.
    """

    def gathered(samples: Sequence[int]) -> tuple[Batch, ...]:
        return tuple(chain.batch(samples, device, dtype) for chain in chains)

    if device.type == "cuda":
        yield from _beside(gathered, groups, device)
    else:  # the cores that would gather ahead are those that compute
        yield from map(gathered, groups)


def one_ahead(make: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """Yield what is made of each item; the next is made in a thread while the last is used."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="one-ahead") as thread:
        coming: Future[T] | None = None
        for item in items:
            following = thread.submit(make, item)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()


@functools.cache
def _side_of(device: torch.device) -> torch.cuda.Stream:
    """Return the stream that copies to a device: one for all, as torch keeps memory for each."""
    stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return stream


def _beside(
    gathered: Callable[[Sequence[int]], tuple[Batch, ...]],
    groups: Iterable[Sequence[int]],
    device: torch.device,
) -> Iterator[tuple[Batch, ...]]:
    """Copy on a stream of its own, which does not wait for the steps under way."""
    side = _side_of(device)

    def copied(samples: Sequence[int]) -> tuple[tuple[Batch, ...], torch.cuda.Event]:
        with torch.cuda.stream(side):
            return gathered(samples), side.record_event()

    for batches, is_there in one_ahead(copied, groups):
        current = torch.cuda.current_stream(device)
        current.wait_event(is_there)
        for batch in batches:
            for tensor in batch.tensors():
                tensor.record_stream(current)  # its memory is not used again before that is done
        yield batches
