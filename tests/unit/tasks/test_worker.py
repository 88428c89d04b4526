"""A worker knows its own engine, and refuses to mix it with another."""

import os

import pytest

from infra.errors import EngineMismatchError
from tasks.worker import require_engine


def test_the_same_engine_is_welcome() -> None:
    """Equal versions pass without a word."""
    require_engine("7", own="7")


def test_another_engine_is_told_apart_by_worker_and_versions() -> None:
    """The message names the process, both versions, and what to do."""
    with pytest.raises(EngineMismatchError) as refused:
        require_engine("8", own="7")

    told = str(refused.value)
    assert f"process {os.getpid()} has version 7" in told
    assert "for version 8" in told
    assert "Install the same release" in told
