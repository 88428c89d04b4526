"""Measures the committed model: `python -m infra.demo.report --count 200`."""

import argparse
import json
from collections.abc import Sequence

import torch
from transformers import Qwen2VLForConditionalGeneration

from infra.demo import MODEL_DIR
from infra.demo.measure import KINDS, accuracy, perplexity, unigram_perplexity
from infra.demo.tokenizer import load_tokenizer

_TEXT_ROWS = 64


def report(count: int, seed: int) -> dict[str, float]:
    """Measure accuracy by kind and perplexity on material of a seed.

    Args:
        count: Questions a kind.
        seed: Seed of questions and stories; training uses other streams.

    Returns:
        Shares by kind, and the perplexities of the model and of token frequencies alone.
    """
    model = Qwen2VLForConditionalGeneration.from_pretrained(MODEL_DIR, dtype=torch.float32)
    tokenizer = load_tokenizer(MODEL_DIR)
    shares = {kind: accuracy(model, tokenizer, kind, count, seed) for kind in KINDS}
    return {
        **shares,
        "perplexity": perplexity(model, tokenizer, _TEXT_ROWS, seed),
        "unigram perplexity": unigram_perplexity(tokenizer, _TEXT_ROWS, seed),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line.

    Args:
        arguments: Words of the command line, or None for the process's own.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2)
    parsed = parser.parse_args(arguments)
    measured = report(parsed.count, parsed.seed)
    print(json.dumps({name: round(value, 3) for name, value in measured.items()}))  # noqa: T201


if __name__ == "__main__":
    main()
