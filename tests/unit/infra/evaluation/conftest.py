"""Models in float32, loaded once."""

from pathlib import Path
from typing import Any

import pytest

from infra.demo import MODEL_DIR
from tests.support.asking import open_whole


@pytest.fixture(scope="session")
def tiny_whole(tiny_model: Path) -> Any:
    """Return the tiny model in memory."""
    return open_whole(tiny_model)


@pytest.fixture(scope="session")
def demo_whole() -> Any:
    """Return the demo model in memory."""
    return open_whole(MODEL_DIR)
