"""The webhook receiver of a service, as a process of its own.

python -m flows.service.receiving --workspace FOLDER --host HOST --port PORT RECIPE …
"""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from flows.errors import FlowError
from flows.listening import Address, receiving
from flows.service.access import ensure_webhook_secret
from flows.watched import answers
from infra.errors import InfraError


def main(arguments: Sequence[str]) -> int:
    """Take notices until told to stop."""
    asked = _parsed(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        known = answers(asked.recipes, asked.workspace)
        secret = ensure_webhook_secret(asked.workspace)
        with receiving(Address(asked.host, asked.port), secret, known):
            stop.wait()
    except (FlowError, InfraError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flows.service.receiving")
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
