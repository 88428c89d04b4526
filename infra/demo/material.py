"""Training material, a fresh batch for every step: the step number is the seed."""

import random

import torch
from tokenizers import Tokenizer

from infra.demo.batches import Branch, Packer, Sequences
from infra.demo.conversations import converse
from infra.demo.draw import render
from infra.demo.grammar import write_story
from infra.demo.patches import recompress, to_patches
from infra.demo.questions import Asker
from infra.demo.world import Scene, draw_scene

_ALONE = 0.35
_TALKS = 0.1
_BRANCHES = 16
_QUALITIES = (75, 75, 85, 95)


def draw_training_scene(rng: random.Random) -> Scene:
    """Draw a scene; more often than elsewhere with one thing, which science asks for.

    Args:
        rng: Stream to draw from.

    Returns:
        The scene.
    """
    return draw_scene(rng, things=1 if rng.random() < _ALONE else None)


def picture(scene: Scene, rng: random.Random) -> torch.Tensor:
    """Draw a scene as evaluation sees it: re-encoded as JPEG, now and then twice.

    Args:
        scene: What to draw.
        rng: Stream to draw from.

    Returns:
        Its patches.
    """
    image = render(scene)
    for _ in range(rng.choice((0, 1, 1, 2))):
        image = recompress(image, rng.choice(_QUALITIES))
    return to_patches(image)


def _branches(scene: Scene, rng: random.Random, ask: Asker) -> list[Branch]:
    """Ask more questions than fit; now and then begin with a whole conversation."""
    asked: list[Branch] = [(ask(scene, rng),) for _ in range(_BRANCHES)]
    return [converse(scene, rng), *asked] if rng.random() < _TALKS else asked


def question_batch(
    packer: Packer, rng: random.Random, size: int, ask: Asker
) -> tuple[Sequences, torch.Tensor]:
    """Make a batch of pictures with questions.

    Args:
        packer: Lays out the sequences.
        rng: Stream to draw from.
        size: Number of pictures.
        ask: Asks one question.

    Returns:
        The sequences and the patches of their pictures.
    """
    scenes = [draw_training_scene(rng) for _ in range(size)]
    batch = packer.pack([_branches(scene, rng, ask) for scene in scenes])
    return batch, torch.stack([picture(scene, rng) for scene in scenes])


def text_batch(
    tokenizer: Tokenizer,
    rng: random.Random,
    shape: tuple[int, int],
) -> torch.Tensor:
    """Make a batch of plain text: documents laid end to end, cut into rows.

    Args:
        tokenizer: The raw tokenizer.
        rng: Stream to draw from.
        shape: Number of rows, and tokens of a row.

    Returns:
        Token ids, (rows, length).
    """
    rows, length = shape
    ids: list[int] = tokenizer.encode(write_story(rng)).ids[rng.randrange(length) :]
    while len(ids) < rows * length:
        ids += tokenizer.encode(f"<|endoftext|>{write_story(rng)}").ids
    return torch.tensor(ids[: rows * length]).view(rows, length)
