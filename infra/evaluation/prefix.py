"""Read prompts: whole ones, or each picture once and then all questions about it.

A picture comes first in every prompt and is most of it: some 1,300 tokens of a photograph against
60 of a question, and there are up to ten questions about one.  Attention looks back only, so what
the model makes of the prompt up to the end of the picture (its keys and values) is the same for all
of them: it is computed once, copied to a row for each question, and the questions are read behind
it.

    prefix   [padding] head picture              P rows, one a picture
    suffix                          [padding] tail     B rows, one a question

Shapes: P pictures, B questions, T tokens.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache

from infra.evaluation.greedy import Opened, step
from infra.evaluation.inputs import Pixels, Prompt


class Prefixes(NamedTuple):
    """Prompts that were read up to the end of their picture."""

    cache: DynamicCache  # of P rows
    mask: Tensor  # int64 [P, T]
    position: Tensor  # int64 [P], of the first token behind the picture


@torch.inference_mode()
def read_prefixes(model: Any, prompts: Sequence[Prompt], pixels: Sequence[Pixels]) -> Prefixes:
    """Read prompts up to the end of their pictures.

    Args:
        model: A Qwen2-VL.
        prompts: One for each picture.
        pixels: Their pictures.
    """
    rows = [_prefix(model, prompt) for prompt in prompts]
    return _read(model.model, rows, pixels)[1]


@torch.inference_mode()
def read_suffixes(
    model: Any, prefixes: Prefixes, prompts: Sequence[Prompt], rows: Sequence[int]
) -> Opened:
    """Read what is behind the pictures.

    Args:
        model: A Qwen2-VL.
        prefixes: Pictures that were read; they can be used again.
        prompts: Questions about them.
        rows: For each question, which of the pictures it is about.
    """
    device = prefixes.mask.device
    chosen = torch.tensor(rows, device=device)
    copies = [(layer.keys[chosen], layer.values[chosen]) for layer in prefixes.cache.layers]
    cache = DynamicCache(copies, config=model.config)
    tokens, mask = left_padded([prompt.tail for prompt in prompts], device)
    positions = prefixes.position[chosen, None] + (mask.cumsum(1) - 1).clamp(min=0)
    whole_mask = torch.cat([prefixes.mask[chosen], mask], dim=1)
    logits = step(model, tokens, whole_mask, positions, cache)
    return Opened(logits, cache, whole_mask, positions[:, -1] + 1)


@torch.inference_mode()
def read_whole(model: Any, prompts: Sequence[Prompt], pixels: Sequence[Pixels]) -> Opened:
    """Read whole prompts, each with a picture of its own."""
    rows = [(*_prefix(model, prompt), *prompt.tail) for prompt in prompts]
    hidden, read = _read(model.model, rows, pixels)
    return Opened(model.lm_head(hidden), *read)


def _read(
    body: Any, rows: Sequence[Sequence[int]], pixels: Sequence[Pixels]
) -> tuple[Tensor, Prefixes]:
    """Return the last hidden state of each row, and the rows as they were read."""
    device = body.device
    tokens, mask = left_padded(rows, device)
    grid = torch.cat([each.grid for each in pixels]).to(device)
    pictures = (tokens == body.config.image_token_id) & mask.bool()
    positions, _ = body.get_rope_index(
        tokens,
        mm_token_type_ids=pictures.int(),
        image_grid_thw=grid,
        attention_mask=mask,
    )
    output = body(
        input_ids=tokens,
        attention_mask=mask,
        position_ids=positions,
        pixel_values=torch.cat([each.values for each in pixels]).to(device),
        image_grid_thw=grid,
        use_cache=True,
    )
    behind = positions.amax((0, 2)) + 1  # padding has position 0
    return output.last_hidden_state[:, -1], Prefixes(output.past_key_values, mask, behind)


def left_padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return tokens ``[B, T]``, aligned to the right, and their mask.

    The filler is the first token of a row: any would do that stands for no picture, as none of
    them is looked at.
    """
    length = max(map(len, rows))
    tokens = [[row[0]] * (length - len(row)) + list(row) for row in rows]
    mask = [[0] * (length - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(tokens, device=device), torch.tensor(mask, device=device)


def _prefix(model: Any, prompt: Prompt) -> tuple[int, ...]:
    return prompt.head + (model.config.image_token_id,) * prompt.picture_tokens
