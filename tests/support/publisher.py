"""A publisher in a process of its own, to be killed: one JSON request a line, a child for each.

The children are forks of a process that has imported everything and asked nothing, so each of them
is at work at once.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from infra.publishing.hub import open_hub
from infra.publishing.published import Content
from infra.publishing.target import Target
from infra.publishing.token import HubToken
from tests.support.local_hub import LocalHub
from tests.support.publishing import Release


class Publisher(NamedTuple):
    """The process that forks."""

    requests: IO[str]
    answers: IO[str]

    def start(self, server: LocalHub, release: Release) -> int:
        """Begin to publish with the owner's token; return the process number."""
        request = {
            "endpoint": server.endpoint,
            "token": server.write_token,
            "target": release.target.model_dump(mode="json"),
            "content": release.content.model_dump(mode="json"),
        }
        self.requests.write(json.dumps(request) + "\n")
        self.requests.flush()
        return int(self.answers.readline())

    def ended(self) -> int:
        """Wait until it is no more; return its exit code, negative for a signal."""
        return int(self.answers.readline())


@contextmanager
def publisher() -> Iterator[Publisher]:
    """Start the process that forks."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.publisher"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Publisher(process.stdin, process.stdout)
        process.stdin.close()


def _publish(line: str) -> None:
    asked = json.loads(line)
    hub = open_hub(asked["endpoint"], HubToken(asked["token"], "the test"))
    target = Target.model_validate(asked["target"])
    Release(target, Content.model_validate(asked["content"])).publish_to(hub)


def _say(answer: object) -> None:
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


def _main() -> None:
    _say("ready")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                _publish(line)
            except BaseException:  # noqa: BLE001 -- a child must never go on as its parent
                os._exit(1)
            os._exit(0)
        _say(pid)
        _, status = os.waitpid(pid, 0)
        _say(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _main()
