"""A flow that does nothing for a while, as a worker's run that is to be disturbed."""

import time

from prefect import flow

SLEEP = "quantize-segment"  # a name of ours, so that automations look after its runs


@flow(name=SLEEP, persist_result=False)
def sleep(seconds: float) -> None:
    """Sleep, in pieces that a signal can end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.2)
