"""The answers of one shard as one object: JSON lines by index, the same answers the same bytes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.evaluation.engine import Answer


def as_lines(answers: Mapping[int, Answer]) -> bytes:
    """Return answers as JSON lines, by index: the same answers are the same bytes."""
    lines = (
        {
            "index": index,
            "prediction": answer.text,
            "tokens": answer.tokens,
            "capped": answer.capped,
        }
        for index, answer in sorted(answers.items())
    )
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def read_lines(paths: Sequence[Path]) -> dict[int, Answer]:
    """Return the answers of several files by index."""
    found = {}
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            answer = Answer(told["index"], told["prediction"], told["tokens"], told["capped"])
            found[answer.index] = answer
    return found
