"""Blocks are cut into runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import RecipeError
from flows.segment import cut


@given(st.integers(1, 200), st.integers(1, 200))
def test_runs_cover_all_blocks_once_and_evenly(blocks: int, segments: int) -> None:
    """No block is lost or done twice, and no worker waits long for another."""
    if segments > blocks:
        blocks, segments = segments, blocks
    runs = cut(blocks, segments)
    sizes = {len(run) for run in runs}

    assert [block for run in runs for block in run] == list(range(blocks))
    assert len(runs) == segments
    assert max(sizes) - min(sizes) <= 1


def test_more_segments_than_blocks_are_refused() -> None:
    """The message says how many there can be."""
    with pytest.raises(RecipeError, match=r"segments = 7, .* 6 blocks.* from 1 to 6"):
        cut(6, 7)
