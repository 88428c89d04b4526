"""First lesson of the vision tower: say in the language model's own words what a cell shows.

Each merged vision token is pulled towards the embeddings of the words for what its cell holds.
After a few minutes a picture reads to the language model like a list of words, so that learning
to answer starts from looking things up in text.
"""

import torch
from tokenizers import Tokenizer

from infra.demo.world import GRID, TEXT_ROW, Scene

_NOTHING = " no"


def cell_words(scene: Scene) -> list[tuple[str, str]]:
    """Name what each cell shows, by two words a cell, in reading order.

    Args:
        scene: The scene.

    Returns:
        Sixteen pairs: colour and shape, or character and whole text, or nothing twice.
    """
    words = [(_NOTHING, _NOTHING)] * (GRID * GRID)
    for thing in scene.things:
        words[thing.row * GRID + thing.column] = (f" {thing.colour}", f" {thing.shape}")
    for column, character in enumerate(scene.text):
        whole = character if scene.text.isdigit() else f" {scene.text}"
        words[TEXT_ROW * GRID + column] = (character, whole)
    return words


def cell_ids(tokenizer: Tokenizer, scenes: list[Scene]) -> torch.Tensor:
    """Give the token ids of what every cell shows.

    Args:
        tokenizer: The raw tokenizer, in which each of these words is one token.
        scenes: The scenes.

    Returns:
        Ids, (scenes, 16, 2).
    """
    words = [word for scene in scenes for pair in cell_words(scene) for word in pair]
    ids = [tokenizer.encode(word).ids[-1] for word in words]
    return torch.tensor(ids).view(len(scenes), GRID * GRID, 2)


def looking_loss(seen: torch.Tensor, embedding: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Measure how far vision tokens are from the words for their cells.

    Args:
        seen: Vision tokens, (pictures, 16, hidden).
        embedding: Embedding of the language model, not trained here.
        ids: Words of each cell, (pictures, 16, 2).

    Returns:
        Mean squared error in units of the embedding's variance.
    """
    fixed = embedding.detach()
    target = fixed[ids].sum(dim=2)
    return (seen - target).pow(2).mean() / fixed.var()


def looking_accuracy(seen: torch.Tensor, embedding: torch.Tensor, ids: torch.Tensor) -> float:
    """Measure how often both words of a cell that shows something are the two nearest.

    Args:
        seen: Vision tokens, (pictures, 16, hidden).
        embedding: Embedding of the language model.
        ids: Words of each cell, (pictures, 16, 2).

    Returns:
        Share of cells with something in them that are named right.
    """
    known = torch.unique(ids)
    directions = torch.nn.functional.normalize(embedding[known] - embedding[known].mean(0), dim=1)
    best = known[(seen @ directions.T).topk(2).indices].sort(dim=2).values
    asked = ids.sort(dim=2).values
    filled = ids[:, :, 0] != ids[:, :, 1]
    return float((best == asked).all(dim=2)[filled].float().mean())
