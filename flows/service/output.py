"""Output that nobody reads any more: no reason for a run to end.

What a run prints goes to its worker.  A worker that dies takes the other end of that pipe with it,
and Prefect's log, which is written by rich, then ends the process at its next line.
"""

import io
import os
import sys
from typing import Any


class Unbroken(io.FileIO):
    """A descriptor that is written to; what comes after its reader has gone is dropped."""

    def write(self, data: Any, /) -> int:
        """Write, and say how much was taken."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # for what this process starts, too
            os.close(nowhere)
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Let standard output and standard error go on without readers.

    To be called before anything keeps hold of the streams, as logging does when it is set up.
    """
    sys.stdout = _stream(1)
    sys.stderr = _stream(2)


def _stream(descriptor: int) -> io.TextIOWrapper:
    raw = Unbroken(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
