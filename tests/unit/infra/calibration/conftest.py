"""The tiny model's tokenizer and processor, opened once."""

from pathlib import Path
from typing import Any

import pytest

from infra.calibration.conversations import ChatEncoder, open_processor
from infra.calibration.text import open_tokenizer


@pytest.fixture(scope="session")
def tokenizer(tiny_model: Path) -> Any:
    """Return the tiny model's tokenizer."""
    return open_tokenizer(tiny_model)


@pytest.fixture(scope="session")
def encoder(tiny_model: Path) -> ChatEncoder:
    """Return the tiny model's processor."""
    return open_processor(tiny_model)
