"""The command line: `roundhouse quantize | run | inspect | score | demo`.

This module is all that is imported before the environment is settled, because Prefect reads its
environment, and may show a notice about telemetry, while it is being imported.
"""

import os
import sys
from collections.abc import MutableMapping

LOOPBACK = ("127.0.0.1", "localhost")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def main() -> None:
    """Run the command that `sys.argv` asks for, and exit with its code."""
    settle(os.environ, terminal=sys.stderr.isatty())
    from flows.cli.app import app  # noqa: PLC0415 -- after the environment is settled

    sys.exit(app())


def settle(environment: MutableMapping[str, str], *, terminal: bool = True) -> None:
    """Set what this process and its children need and the user has not decided.

    It is the program's own entry that may do this, once, before anything is imported: no telemetry,
    and no proxy between us and a server on loopback.

    Args:
        environment: What is set.
        terminal: Somebody is watching; in a log, the bars of the Hub's client are noise.
    """
    environment.setdefault("DO_NOT_TRACK", "1")
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not terminal:
        environment.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if any(environment.get(name) or environment.get(name.upper()) for name in PROXIES):
        for name in ("no_proxy", "NO_PROXY"):
            direct = [host for host in environment.get(name, "").split(",") if host]
            direct += [host for host in LOOPBACK if host not in direct]
            environment[name] = ",".join(direct)
