"""Draws keep their promises for every count, size and key."""

from hypothesis import given
from hypothesis import strategies as st

from quantcore import seeds

counts = st.integers(1, 200)
keys = st.tuples(st.integers(0, 2**40), st.integers(0, 100))


@given(count=counts, size=st.integers(1, 64), key=keys, iteration=st.integers(0, 5000))
def test_a_batch_has_its_size_and_no_sample_twice(
    count: int, size: int, key: tuple[int, int], iteration: int
) -> None:
    """min(size, count) distinct samples of the set, at any iteration."""
    batch = seeds.minibatch(iteration, count=count, size=size, key=key)

    assert len(batch) == len(set(batch)) == min(size, count)
    assert set(batch) <= set(range(count))


@given(count=st.integers(2, 200), size=st.integers(1, 64), key=keys)
def test_training_and_held_out_are_a_partition(count: int, size: int, key: tuple[int, int]) -> None:
    """No sample is both, none is lost, and neither side is empty."""
    training, held = seeds.holdout(count, size, *key)

    assert sorted(training + held) == list(range(count))
    assert training
    assert 1 <= len(held) <= max(1, min(size, count // 8))
