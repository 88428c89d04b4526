"""Questions and an engine for tests of what keeps answers: no model, but every rule of one.

As a program (`python -m tests.support.answering FOLDER LEDGER SECONDS`) it answers forty questions
slowly, so that it can be killed in the middle.
"""

import hashlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.evaluation.engine import Answer, Request
from infra.evaluation.predictions import Answered, answer_all, answer_keys, open_log

WEIGHTS = "a" * 64


def requests(count: int) -> tuple[Request, ...]:
    """Return questions, four about each picture."""
    return tuple(
        Request(index, f"picture {index // 4}".encode(), f"What is {index}?")
        for index in range(count)
    )


def reply(request: Request) -> Answer:
    """Answer by a digest of what was asked."""
    text = hashlib.sha256(request.image + request.text.encode()).hexdigest()[:8]
    return Answer(request.index, f" {text}\n", tokens=len(text), capped=text[0] in "01")


@dataclass(frozen=True)
class DigestEngine:
    """Answers in batches of three, backwards, and writes down what it was asked."""

    asked: list[int] = field(default_factory=list)
    seconds: float = 0.0  # for each batch
    ledger: Path | None = None  # gets a line for each batch before it is handed over

    @property
    def identity(self) -> Mapping[str, str | int]:
        """Name it."""
        return {"engine": "digest", "version": 1}

    def answer(self, requests: Sequence[Request]) -> Iterator[Sequence[Answer]]:
        """Answer the last question first: the order is the engine's own affair."""
        backwards = requests[::-1]
        for start in range(0, len(backwards), 3):
            batch = backwards[start : start + 3]
            time.sleep(self.seconds)
            self.asked.extend(request.index for request in batch)
            if self.ledger is not None:
                with self.ledger.open("a") as ledger:
                    ledger.write(" ".join(str(request.index) for request in batch) + "\n")
            yield [reply(request) for request in batch]


def ask(folder: Path, engine: DigestEngine, count: int = 40) -> Answered:
    """Answer ``count`` questions with what is on record in ``folder``."""
    asked = requests(count)
    with open_log(folder) as log:
        return answer_all(engine, asked, answer_keys(WEIGHTS, engine.identity, asked), log)


if __name__ == "__main__":
    ask(Path(sys.argv[1]), DigestEngine(ledger=Path(sys.argv[2]), seconds=float(sys.argv[3])))
