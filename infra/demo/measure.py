"""Accuracy of the demo model by kind of question, and its perplexity on held-out text."""

import math
import random
from collections import Counter
from collections.abc import Callable

import torch
from tokenizers import Tokenizer
from transformers import Qwen2VLForConditionalGeneration

from infra.demo import questions
from infra.demo.batches import Packer
from infra.demo.choices import about_picture, about_science, as_turn, rotate
from infra.demo.draw import render
from infra.demo.forward import answer_logits, text_loss
from infra.demo.material import text_batch
from infra.demo.patches import recompress, to_patches
from infra.demo.questions import LOOKUPS, Turn
from infra.demo.seeds import stream
from infra.demo.world import Scene, draw_scene

_QUALITY = 75
_BATCH = 8

Group = tuple[Turn, ...]
"""Turns that count as one question: all must be answered right."""

Maker = Callable[[Scene, random.Random], Group]


def _lookup(scene: Scene, rng: random.Random) -> Group:
    return (rng.choice(LOOKUPS)(scene, rng),)


def _yes_no(scene: Scene, rng: random.Random) -> Group:
    return (questions.yes_no(scene, rng),)


def _reading(scene: Scene, rng: random.Random) -> Group:
    return (questions.read_short(scene, rng),)


def _choice(scene: Scene, rng: random.Random) -> Group:
    return (as_turn(about_picture(scene, rng)),)


def _circular(scene: Scene, rng: random.Random) -> Group:
    choice = about_picture(scene, rng)
    return tuple(as_turn(rotate(choice, turn)) for turn in range(len(choice.options)))


def _science(scene: Scene, rng: random.Random) -> Group:
    return (as_turn(about_science(scene, rng)),)


KINDS: dict[str, Maker] = {
    "lookup": _lookup,
    "yes_no": _yes_no,
    "reading": _reading,
    "choice": _choice,
    "circular": _circular,
    "science": _science,
}


def _right_branches(
    model: Qwen2VLForConditionalGeneration, packer: Packer, items: list[tuple[Scene, Group]]
) -> dict[tuple[int, int], bool]:
    """Tell for each row and branch whether greedy decoding gives exactly the answer."""
    batch = packer.pack([[(turn,) for turn in group] for _, group in items])
    pictures = [to_patches(recompress(render(scene), _QUALITY)) for scene, _ in items]
    logits, labels, place = answer_logits(model, batch, torch.stack(pictures))
    right = (logits.argmax(dim=-1) == labels).tolist()
    verdict: dict[tuple[int, int], bool] = {}
    for row, branch, fine in zip(*place.tolist(), right, strict=True):
        verdict[row, branch] = verdict.get((row, branch), True) and fine
    return verdict


@torch.no_grad()
def accuracy(
    model: Qwen2VLForConditionalGeneration, tokenizer: Tokenizer, kind: str, count: int, seed: int
) -> float:
    """Measure the share of questions answered exactly right.

    Args:
        model: The model.
        tokenizer: The raw tokenizer.
        kind: One of `KINDS`.
        count: Number of questions, each about a picture of its own.
        seed: Seed of the questions; training never uses these streams.

    Returns:
        A share from 0 to 1; "circular" counts a question when every rotation is right.
    """
    rng = stream(seed, f"measure/{kind}")
    packer = Packer(tokenizer, 320)
    right = 0
    for start in range(0, count, _BATCH):
        size = min(_BATCH, count - start)
        scenes = [draw_scene(rng, things=1 if kind == "science" else None) for _ in range(size)]
        items = [(scene, KINDS[kind](scene, rng)) for scene in scenes]
        verdict = _right_branches(model, packer, items)
        rows = range(size)
        right += sum(all(v for (r, _), v in verdict.items() if r == row) for row in rows)
    return right / count


@torch.no_grad()
def perplexity(
    model: Qwen2VLForConditionalGeneration, tokenizer: Tokenizer, rows: int, seed: int
) -> float:
    """Measure the perplexity on held-out stories.

    Args:
        model: The model.
        tokenizer: The raw tokenizer.
        rows: Number of windows of 256 tokens.
        seed: Seed of the stories.

    Returns:
        Perplexity a token.
    """
    ids = text_batch(tokenizer, stream(seed, "measure/text"), (rows, 256))
    losses = [float(text_loss(model, chunk)) for chunk in torch.split(ids, 1)]
    return math.exp(sum(losses) / len(losses))


def unigram_perplexity(tokenizer: Tokenizer, rows: int, seed: int) -> float:
    """Measure what knowing the frequency of every token alone would reach on the same text.

    Args:
        tokenizer: The raw tokenizer.
        rows: Number of windows of 256 tokens.
        seed: Seed of the stories.

    Returns:
        Perplexity a token; frequencies are those of the text itself, the best case.
    """
    ids = text_batch(tokenizer, stream(seed, "measure/text"), (rows, 256))
    counts = Counter(ids.flatten().tolist())
    total = counts.total()
    return math.exp(-sum(n * math.log(n / total) for n in counts.values()) / total)
