"""`infra.models.source.resolve` in a process of its own: one JSON request a line, one answer.

The Hub's client reads its environment once, at import, so each environment needs its process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from infra.errors import InfraError
from infra.models.source import ModelSource, resolve


@dataclass(frozen=True, slots=True)
class Resolver:
    """A process that resolves models in its own environment."""

    requests: IO[str]
    answers: IO[str]

    def ask(self, model: str, revision: str | None = None) -> ModelSource | tuple[str, str]:
        """Return the source, or the name and the message of the error."""
        self.requests.write(json.dumps([model, revision]) + "\n")
        self.requests.flush()
        answer: dict[str, Any] = json.loads(self.answers.readline())
        if "error" in answer:
            return answer["error"], answer["message"]
        return ModelSource.model_validate(answer["source"])


@contextmanager
def resolving(endpoint: str, home: Path, **environment: str) -> Iterator[Resolver]:
    """Start a process whose Hub is at ``endpoint`` and whose cache and login are in ``home``."""
    settings = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.resolver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **settings, **environment},
        cwd=Path(__file__).parents[2],
    ) as process:
        if process.stdin is None or process.stdout is None:
            message = "The process was started without pipes."
            raise RuntimeError(message)
        yield Resolver(process.stdin, process.stdout)
        process.stdin.close()


def _main() -> None:
    for line in sys.stdin:
        model, revision = json.loads(line)
        try:
            answer: dict[str, Any] = {"source": resolve(model, revision).model_dump(mode="json")}
        except InfraError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
