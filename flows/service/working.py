"""A worker of a service, as a process of its own.

    python -m flows.service.working --pool POOL --name NAME [--limit N] [--run-once]

SIGTERM and SIGINT let the runs in hand put down what they do and say so; then the worker ends.  A
second SIGINT, as of a person who has no more patience, ends all of it at once.
"""

import argparse
import asyncio
import contextlib
import functools
import signal
import sys
from collections.abc import Sequence

from flows.service.graceful import GracefulWorker
from flows.service.heartbeats import LEAVING_SECONDS

GRACE_SECONDS = 2.0  # after Ctrl-C, which the terminal sends to the runs, too


async def work(worker: GracefulWorker, *, run_once: bool) -> None:
    """Carry out runs until a signal comes, or those that are due now."""
    loop = asyncio.get_running_loop()
    asked: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.put_nowait, number)
    signalled = asyncio.create_task(asked.get())
    told = functools.partial(print, flush=True)
    working = asyncio.create_task(worker.start(run_once=run_once, printer=told))
    await asyncio.wait((signalled, working), return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        loop.remove_signal_handler(signal.SIGINT)
        grace = GRACE_SECONDS if signalled.result() == signal.SIGINT else 0.0
        await worker.leave(LEAVING_SECONDS, grace_seconds=grace)
        working.cancel()
    signalled.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working


def main(arguments: Sequence[str]) -> None:
    """Work until told to leave."""
    asked = _parsed(arguments)
    worker = GracefulWorker(asked.pool, name=asked.name, limit=asked.limit)
    asyncio.run(work(worker, run_once=asked.run_once))


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flows.service.working")
    parser.add_argument("--pool", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--run-once", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
