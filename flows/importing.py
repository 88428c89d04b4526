"""Import what is heavy, faster.

torch, transformers and Prefect make millions of objects as they are imported, all of which stay.
Python's garbage collector looks through them again and again, which is a quarter of the time.
"""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collecting() -> Iterator[None]:
    """Leave the garbage where it is, and never look at what was made meanwhile again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
