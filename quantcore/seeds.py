"""Random numbers by name: a draw depends on what it is for, never on what was drawn before.

A killed run that resumes at block 17 must draw what the undisturbed run drew there, on any
machine.  So there is no generator that lives on: each use makes its own from a key such as
(seed, block, epoch), always on the CPU, since CUDA generators give other numbers.
"""

import hashlib

import torch


def generator(*key: int | str) -> torch.Generator:
    """Return a CPU generator that is a pure function of ``key``."""
    digest = hashlib.sha256("/".join(map(repr, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def permutation(count: int, *key: int | str) -> list[int]:
    """Return the numbers 0 … ``count`` - 1 in an order that is a pure function of ``key``."""
    order: list[int] = torch.randperm(count, generator=generator(*key)).tolist()
    return order


def minibatch(iteration: int, *, count: int, size: int, key: tuple[int | str, ...]) -> list[int]:
    """Return the sample numbers of one iteration, in epochs without repetition.

    Each epoch is its own permutation and its ragged tail is dropped, so that every batch has
    ``min(size, count)`` samples.  Nothing is remembered between calls.
    """
    size = min(size, count)
    per_epoch = count // size
    epoch, step = divmod(iteration, per_epoch)
    return permutation(count, *key, "epoch", epoch)[step * size : (step + 1) * size]


def holdout(count: int, size: int, *key: int | str) -> tuple[list[int], list[int]]:
    """Split ``count`` samples into (training, held-out), both sorted.

    At most an eighth is held out, so that a small set still teaches, and at least one sample
    when there are two or more.  A single sample serves as both.
    """
    if count == 1:
        return [0], [0]
    held = max(1, min(size, count // 8))
    order = permutation(count, *key, "holdout")
    return sorted(order[held:]), sorted(order[:held])
