"""Forward passes of the demo model over packed batches."""

import torch
from transformers import Qwen2VLForConditionalGeneration

from infra.demo.batches import IGNORED, Sequences
from infra.demo.patches import PATCH_GRID
from infra.demo.world import GRID


def look(model: Qwen2VLForConditionalGeneration, patches: torch.Tensor) -> torch.Tensor:
    """Run the vision tower.

    Args:
        model: The model.
        patches: Patches of several pictures, (pictures, 64, 1176).

    Returns:
        Merged vision tokens, (pictures, 16, hidden).
    """
    grid = torch.tensor([PATCH_GRID] * len(patches))
    merged = model.model.visual(patches.flatten(0, 1), grid_thw=grid).pooler_output
    return torch.as_tensor(merged).view(len(patches), GRID * GRID, -1)


def answer_logits(
    model: Qwen2VLForConditionalGeneration, batch: Sequences, patches: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the logits at answer tokens only.

    Args:
        model: The model.
        batch: Packed sequences.
        patches: Patches of their pictures.

    Returns:
        Logits, the true tokens, and where in the batch (row and branch) they stand.
    """
    embedded = model.model.language_model.embed_tokens(batch.ids)
    start = batch.image_start
    end = start + GRID * GRID
    seen = look(model, patches)
    embedded = torch.cat([embedded[:, :start], seen, embedded[:, end:]], dim=1)
    hidden = model.model.language_model(
        inputs_embeds=embedded,
        position_ids=batch.positions,
        attention_mask={"full_attention": batch.mask()},
        use_cache=False,
    ).last_hidden_state
    labels = batch.labels[:, 1:]
    chosen = labels != IGNORED
    rows = torch.arange(len(labels))[:, None].expand_as(labels)
    place = torch.stack([rows[chosen], batch.branch[:, 1:][chosen]])
    return model.lm_head(hidden[:, :-1][chosen]), labels[chosen], place


def answer_loss(
    model: Qwen2VLForConditionalGeneration, batch: Sequences, patches: torch.Tensor
) -> torch.Tensor:
    """Compute the loss of answers, every branch weighing the same.

    A mean over tokens would drown the one letter of a choice in the words of descriptions.

    Args:
        model: The model.
        batch: Packed sequences.
        patches: Patches of their pictures.

    Returns:
        A scalar, in nats a token.
    """
    logits, labels, place = answer_logits(model, batch, patches)
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    branch = place[0] * batch.ids.shape[1] + place[1]
    weights = 1.0 / branch.bincount()[branch]
    return (losses * weights).sum() / weights.sum()


def text_loss(model: Qwen2VLForConditionalGeneration, ids: torch.Tensor) -> torch.Tensor:
    """Compute the mean loss of next-token prediction on plain text.

    Args:
        model: The model.
        ids: Token ids, (rows, length).

    Returns:
        A scalar, in nats a token.
    """
    positions = torch.arange(ids.shape[1]).expand(3, *ids.shape)
    hidden = model.model.language_model(
        inputs_embeds=model.model.language_model.embed_tokens(ids),
        position_ids=positions,
        use_cache=False,
    ).last_hidden_state
    logits = model.lm_head(hidden[:, :-1])
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
