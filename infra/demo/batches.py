"""Token sequences for training: one picture, then several questions that cannot see each other.

Each question continues the same prefix (system message and picture) with its own positions and
an attention mask that hides the others. So every question is trained exactly as an evaluation
asks it, first after the picture, while the picture is read only once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

from infra.demo.questions import Turn
from infra.demo.tokenizer import special_id
from infra.demo.world import GRID

IGNORED = -100
_HEAD = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
_PAD_BRANCH = 1000

Branch = tuple[Turn, ...]
"""Turns of one conversation; all branches of a sequence share its picture."""


@dataclass(frozen=True)
class Sequences:
    """A batch for the language model; `branch` 0 is the shared prefix."""

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    branch: torch.Tensor
    image_start: int

    def mask(self) -> torch.Tensor:
        """Return which token sees which, as a boolean tensor (batch, 1, length, length)."""
        size = self.ids.shape[1]
        causal = torch.ones(size, size, dtype=torch.bool).tril()
        rows, columns = self.branch[:, :, None], self.branch[:, None, :]
        return (causal & ((columns == 0) | (rows == columns)))[:, None]


@dataclass(frozen=True)
class _Prefix:
    """The shared beginning: ids, positions on three axes, and where the picture begins."""

    ids: list[int]
    positions: np.ndarray
    image_start: int
    next_position: int


def _prefix(tokenizer: Tokenizer) -> _Prefix:
    """Build the system message and the picture."""
    head = tokenizer.encode(f"{_HEAD}<|vision_start|>").ids
    pad, end = special_id("<|image_pad|>"), special_id("<|vision_end|>")
    start, cells = len(head), GRID * GRID
    text = np.tile(np.arange(start), (3, 1))
    cell = np.arange(cells)
    image = start + np.stack([cell * 0, cell // GRID, cell % GRID])
    last = np.full((3, 1), start + GRID)
    positions = np.concatenate([text, image, last], axis=1)
    return _Prefix([*head, *[pad] * cells, end], positions, start, start + GRID + 1)


def _encode_branch(tokenizer: Tokenizer, branch: Branch) -> tuple[list[int], list[int]]:
    """Return the ids of a branch and its labels, which cover the answers alone."""
    ids: list[int] = []
    labels: list[int] = []
    for place, turn in enumerate(branch):
        head = "" if place == 0 else "\n<|im_start|>user\n"
        asked = f"{head}{turn.question}<|im_end|>\n<|im_start|>assistant\n"
        question = tokenizer.encode(asked).ids
        answer = tokenizer.encode(f"{turn.answer}<|im_end|>").ids
        ids += question + answer
        labels += [IGNORED] * len(question) + answer
    return ids, labels


class Packer:
    """Packs branches behind pictures into sequences of one length."""

    def __init__(self, tokenizer: Tokenizer, length: int) -> None:
        """Remember the shared prefix.

        Args:
            tokenizer: The raw tokenizer.
            length: Tokens of every sequence.
        """
        self._tokenizer = tokenizer
        self._length = length
        self._prefix = _prefix(tokenizer)

    def pack(self, samples: Sequence[Sequence[Branch]]) -> Sequences:
        """Pack one sequence for each picture.

        Args:
            samples: For each picture its branches; those that do not fit are left out.

        Returns:
            The batch.
        """
        rows = [self._row(branches) for branches in samples]
        ids, labels, branch = (np.stack([row[k] for row in rows]) for k in range(3))
        positions = np.stack([row[3] for row in rows], axis=1)
        tensors = [torch.from_numpy(array) for array in (ids, labels, positions, branch)]
        return Sequences(tensors[0], tensors[1], tensors[2], tensors[3], self._prefix.image_start)

    def _row(self, branches: Sequence[Branch]) -> tuple[np.ndarray, ...]:
        """Lay out one sequence: ids, labels, branch numbers and positions."""
        prefix, used = self._prefix, len(self._prefix.ids)
        ids = np.zeros(self._length, np.int64)
        labels = np.full(self._length, IGNORED, np.int64)
        branch = np.full(self._length, _PAD_BRANCH, np.int64)
        positions = np.zeros((3, self._length), np.int64)
        ids[:used], branch[:used], positions[:, :used] = prefix.ids, 0, prefix.positions
        for number, turns in enumerate(branches, start=1):
            tokens, answers = _encode_branch(self._tokenizer, turns)
            end = used + len(tokens)
            if end > self._length:
                break
            ids[used:end], labels[used:end], branch[used:end] = tokens, answers, number
            positions[:, used:end] = prefix.next_position + np.arange(len(tokens))
            used = end
        return ids, labels, branch, positions
