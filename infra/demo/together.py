"""Several processes that train one model, each on a share of every batch.

On a busy machine two processes of one thread are faster than two threads: threads wait for each
other in every operation, processes once a step. Started by `torchrun`; alone, nothing changes.
"""

from collections.abc import Callable, Iterable

import torch
from torch import distributed


def join() -> None:
    """Meet the other processes that `torchrun` started, if it did."""
    if distributed.is_torchelastic_launched():
        distributed.init_process_group("gloo")


def rank() -> int:
    """Return the number of this process, 0 when alone."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    """Return the number of processes, 1 when alone."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace every gradient by its mean over all processes.

    Args:
        parameters: The model's parameters; those without a gradient have none anywhere.
    """
    if size() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    pieces = torch.split(flat.div_(size()), [gradient.numel() for gradient in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))


def share_out(work: Callable[[torch.Tensor], torch.Tensor], stack: torch.Tensor) -> torch.Tensor:
    """Apply work to every entry of a stack, each process to its share of them.

    Args:
        work: Maps a stack of entries to a stack of the same shape, each entry by itself.
        stack: The entries, the same in every process.

    Returns:
        All results, in every process.
    """
    if size() == 1:
        return work(stack)
    results = torch.zeros_like(stack)
    if rank() < len(stack):
        results[rank() :: size()] = work(stack[rank() :: size()])
    distributed.all_reduce(results)
    return results
