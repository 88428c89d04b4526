"""Greedy decoding of rows that were read already, whichever way they were.

The most likely token each time, until one that ends the answer; rows that have ended leave the
batch at once, so one long answer does not make the others wait.  Positions are given explicitly:
behind a picture they do not follow from the number of tokens (M-RoPE), and padding lies anywhere.

Shapes: B rows, T tokens read so far, V vocabulary.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache


class Opened(NamedTuple):
    """Rows whose prompts were read, ready for their first token."""

    logits: Tensor  # [B, V], of the first token
    cache: DynamicCache  # keys and values of T tokens
    mask: Tensor  # int64 [B, T]: 0 where there is padding
    position: Tensor  # int64 [B], of the first token


class Generated(NamedTuple):
    """What a row said."""

    tokens: list[int]  # without the one that ends the answer
    capped: bool  # it was cut at the longest length


@torch.inference_mode()
def decode(model: Any, opened: Opened, *, stop: Collection[int], longest: int) -> list[Generated]:
    """Generate the answer of each row.

    Args:
        model: A Qwen2-VL.
        opened: The rows; its cache is used up.
        stop: Tokens that end an answer.
        longest: Most tokens of an answer, the one that ends it included.
    """
    logits, cache, mask, position = opened
    rows = list(range(len(logits)))
    said: list[list[int]] = [[] for _ in rows]
    ended: set[int] = set()
    while rows:
        tokens = logits.float().argmax(-1)
        going = []
        for slot, (row, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
            if token in stop:
                ended.add(row)
                continue
            said[row].append(token)
            if len(said[row]) < longest:
                going.append(slot)
        if len(going) < len(rows):
            rows = [rows[slot] for slot in going]
            keep = torch.tensor(going, dtype=torch.int64, device=tokens.device)
            tokens, mask, position = tokens[keep], mask[keep], position[keep]
            cache.batch_select_indices(keep)
        if rows:
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            logits = step(model, tokens[:, None], mask, position[:, None], cache)
            position = position + 1
    return [Generated(tokens, row not in ended) for row, tokens in enumerate(said)]


def step(
    model: Any, tokens: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache
) -> Tensor:
    """Read text tokens behind what is cached, and return the logits ``[B, V]`` of the next.

    Args:
        model: A Qwen2-VL.
        tokens: [B, N], new.
        mask: [B, T + N], of the cached and the new ones.
        positions: [B, N]; a text token has the same in all three directions.
        cache: Of T tokens; grows by N.
    """
    output = model(
        input_ids=tokens,
        attention_mask=mask,
        position_ids=positions.expand(3, -1, -1),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    logits: Tensor = output.logits[:, -1]
    return logits
