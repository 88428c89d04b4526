"""Writes every demo data set: `python -m infra.demo.generate OUT --seed N`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from infra.demo.benchmarks import write_benchmarks
from infra.demo.datasets import write_conversation_set, write_mixed_text_set


def generate(out: Path, *, seed: int, texts: int, conversations: int) -> list[Path]:
    """Write the text set, the conversation set and the benchmarks.

    Args:
        out: Folder to fill.
        seed: The same seed gives the same bytes.
        texts: Number of documents, stories and transcripts in turn.
        conversations: Number of conversations.

    Returns:
        The paths of the data sets.
    """
    return [
        write_mixed_text_set(out / "text.jsonl", count=texts, seed=seed),
        write_conversation_set(out / "conversations", count=conversations, seed=seed),
        *write_benchmarks(out / "benchmarks", seed=seed).values(),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line.

    Args:
        arguments: Words of the command line, or None for the process's own.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--conversations", type=int, default=512)
    parsed = parser.parse_args(arguments)
    paths = generate(
        parsed.out, seed=parsed.seed, texts=parsed.texts, conversations=parsed.conversations
    )
    print("\n".join(str(path) for path in paths))  # noqa: T201 - a command's own output


if __name__ == "__main__":
    main()
