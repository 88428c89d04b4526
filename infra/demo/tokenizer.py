"""The demo tokenizer: byte-level BPE in Qwen2's form, trained on our own text."""

import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE

from infra.demo.choices import about_picture, about_science, as_turn
from infra.demo.conversations import converse
from infra.demo.grammar import write_story
from infra.demo.seeds import stream
from infra.demo.world import draw_scene

BPE_SIZE = 1200
VOCAB_SIZE = 1280
SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
"""Qwen2-VL's special tokens in its order; they follow the BPE vocabulary, and unused rows of the
embedding follow them, as in Qwen2, so that its height is a multiple of 128."""

_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def special_id(token: str) -> int:
    """Return the id of a special token.

    Args:
        token: One of `SPECIAL_TOKENS`.

    Returns:
        Its id.
    """
    return BPE_SIZE + SPECIAL_TOKENS.index(token)


def corpus(seed: int, size: int) -> Iterator[str]:
    """Yield texts of every kind the model meets.

    Args:
        seed: Seed of the texts.
        size: Number of stories, and of scenes talked about.

    Yields:
        Stories, prompts and answers.
    """
    stories, talks = stream(seed, "corpus/text"), stream(seed, "corpus/talk")
    for place in range(size):
        yield write_story(stories)
        scene = draw_scene(talks, things=1 if place % 2 else None)
        choose = about_science if place % 2 else about_picture
        for turn in (*converse(scene, talks), as_turn(choose(scene, talks))):
            yield turn.question
            yield turn.answer
        yield "system\nYou are a helpful assistant.\nuser\nassistant\n"


def _blank() -> Tokenizer:
    """Make an untrained tokenizer with Qwen2's pre-tokenization."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(_PATTERN), behavior="isolated", invert=False)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train_tokenizer(seed: int, size: int) -> Tokenizer:
    """Train the tokenizer.

    Args:
        seed: Seed of its corpus.
        size: Number of stories and scenes in its corpus.

    Returns:
        The tokenizer, special tokens last.
    """
    tokenizer = _blank()
    trainer = trainers.BpeTrainer(
        vocab_size=BPE_SIZE,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(corpus(seed, size), trainer)
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS]
    )
    return tokenizer


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the raw tokenizer of a model folder.

    Args:
        folder: Folder with `tokenizer.json`.

    Returns:
        The tokenizer.
    """
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def vocabulary_files(tokenizer: Tokenizer) -> dict[str, str]:
    """Give the texts of the three files that hold the vocabulary.

    Args:
        tokenizer: A trained tokenizer.

    Returns:
        File names and contents.
    """
    whole = json.loads(tokenizer.to_str())
    vocabulary = dict(sorted(whole["model"]["vocab"].items(), key=lambda item: int(item[1])))
    merges = [" ".join(pair) for pair in whole["model"]["merges"]]
    return {
        "tokenizer.json": json.dumps(whole, ensure_ascii=False, indent=1) + "\n",
        "vocab.json": json.dumps(vocabulary, ensure_ascii=False) + "\n",
        "merges.txt": "#version: 0.2\n" + "\n".join(merges) + "\n",
    }
