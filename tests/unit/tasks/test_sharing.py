"""Work that several want at once is done by one of them."""

import logging
import os
from pathlib import Path

import pytest

from infra.store import FolderStore
from infra.store.leases import Leases
from tasks.progress import LOGGER_NAME
from tasks.sharing import made_once


def test_what_is_there_is_not_made(tmp_path: Path) -> None:
    """Nor is a lease taken for it."""
    store = FolderStore(tmp_path)

    assert made_once(store, "block 1", done=lambda: 7, make=lambda _: 8) == 7
    assert list(tmp_path.iterdir()) == []


def test_who_waits_says_for_whom(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once, where whoever watches the run reads it."""
    caplog.set_level(logging.INFO, LOGGER_NAME)
    store = FolderStore(tmp_path)
    answers = iter([None, None, 7])

    with Leases(store.registers()).held("block 1"):
        found = made_once(store, "block 1", done=lambda: next(answers), make=lambda _: 8)

    assert found == 7
    assert [record.getMessage().partition(" on ")[0] for record in caplog.records] == [
        f"Waiting for block 1, which process {os.getpid()}"
    ]
