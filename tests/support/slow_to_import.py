"""A flow whose module is not imported before a file is there, as if the machine were busy."""

import os
import time
from pathlib import Path

from prefect import flow

AWAITED = "TESTS_IMPORT_AFTER"  # names the file

while AWAITED in os.environ and not Path(os.environ[AWAITED]).exists():
    time.sleep(0.1)


@flow(name="slow-to-import", persist_result=False)
def slow_to_import() -> None:
    """Do nothing."""
