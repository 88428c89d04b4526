"""What is imported stays, so nobody looks for garbage in it."""

import gc

import pytest

from flows.importing import without_collecting


def test_nothing_is_collected_meanwhile_and_all_that_was_made_is_left_alone() -> None:
    """Later collections look at what is made later."""
    before = gc.get_freeze_count()
    try:
        with without_collecting():
            assert not gc.isenabled()
            made = [[number] for number in range(1000)]

        assert gc.isenabled()
        assert gc.get_freeze_count() >= before + len(made)
    finally:
        gc.unfreeze()


def test_what_cannot_be_imported_changes_nothing() -> None:
    """Whoever goes on behind the error has a collector."""
    with pytest.raises(ImportError), without_collecting():
        raise ImportError

    assert gc.isenabled()
    gc.unfreeze()
