"""Faults for tests: what goes wrong with which request, given to the app as a value.

Nothing of it can be reached by a request, and a Hub that is started without a plan has none of it.
"""

import re
from collections import deque
from collections.abc import Iterable
from threading import Lock
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

REQUESTS_KEPT = 100_000

Mode = Literal["status", "lose_response", "drop_upload", "drop_download"]


class Fault(BaseModel):
    """Something that goes wrong, in the order of the plan and a number of times.

    status          the request is answered with ``status``, and nothing is done
    lose_response   everything is done, and the connection cut instead of an answer
    drop_upload     the connection is cut when ``after`` bytes of the request's body have come
    drop_download   the connection is cut when ``after`` bytes of the answer's body have gone
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: str = Field(description="Regular expression, found in e.g. 'PUT /_lfs/AbC' as asked.")
    mode: Mode
    status: int = Field(default=500, ge=400, lt=600)
    headers: dict[str, str] = Field(default={}, description="Of the answer with ``status``.")
    after: int = Field(default=0, ge=0, description="Bytes.")
    skip: int = Field(default=0, ge=0, description="Requests that match and are spared at first.")
    times: int = Field(default=1, gt=0, description="Requests that it befalls then.")


class FaultPlan:
    """What is still to go wrong, and a log of all requests as ``METHOD /path``, as they came."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = Lock()
        self._faults: list[Fault] = list(faults)
        self._seen: list[int] = [0] * len(self._faults)
        self._requests: deque[str] = deque(maxlen=REQUESTS_KEPT)

    def add(self, fault: Fault) -> None:
        """Let something more go wrong."""
        with self._lock:
            self._faults.append(fault)
            self._seen.append(0)

    def clear(self) -> None:
        """Let nothing go wrong any more; the log stays."""
        with self._lock:
            self._faults.clear()
            self._seen.clear()

    @property
    def requests(self) -> list[str]:
        """All requests so far."""
        with self._lock:
            return list(self._requests)

    def befalls(self, line: str) -> Fault | None:
        """Log a request, and return the first fault that is due for it."""
        with self._lock:
            self._requests.append(line)
            for index, fault in enumerate(self._faults):
                if not re.search(fault.match, line):
                    continue
                self._seen[index] += 1
                if fault.skip < self._seen[index] <= fault.skip + fault.times:
                    return fault
        return None
