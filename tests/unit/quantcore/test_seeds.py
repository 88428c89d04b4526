"""A draw is a function of its name: nothing that ran before, and no global state, decides it."""

import pytest
import torch

from quantcore import seeds


def test_a_key_has_one_order() -> None:
    """The same key gives the same permutation, another key another one."""
    assert seeds.permutation(50, 42, 3) == seeds.permutation(50, 42, 3)
    assert seeds.permutation(50, 42, 3) != seeds.permutation(50, 42, 4)
    assert seeds.permutation(50, 42, 3) != seeds.permutation(50, 423)
    assert seeds.permutation(50, 42, "3") != seeds.permutation(50, 42, 3)
    assert list(range(50)) == sorted(seeds.permutation(50, 42, 3))


def test_global_randomness_is_neither_used_nor_moved() -> None:
    """torch.manual_seed changes no draw, and no draw changes torch's own state."""
    torch.manual_seed(1)
    one = seeds.permutation(50, 42)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    two = seeds.permutation(50, 42)

    assert one == two
    assert torch.equal(before, torch.get_rng_state())


def test_draws_do_not_change_between_versions() -> None:
    """Published releases were learned with these very samples: a change needs a new engine."""
    assert seeds.permutation(8, 42, "split", "holdout") == [0, 4, 7, 3, 6, 1, 5, 2]
    assert seeds.minibatch(5, count=8, size=3, key=(42, 0)) == [6, 4, 1]


def test_an_epoch_shows_each_sample_at_most_once() -> None:
    """Batches of an epoch are disjoint, and its ragged tail is dropped."""
    batches = [seeds.minibatch(step, count=10, size=3, key=(1, 2)) for step in range(6)]

    for epoch in (batches[:3], batches[3:]):
        seen = [sample for batch in epoch for sample in batch]
        assert len(seen) == len(set(seen)) == 9
    assert batches[:3] != batches[3:]


def test_any_iteration_can_be_asked_for_first() -> None:
    """A resumed run draws at iteration 700 what an undisturbed one draws there."""
    alone = seeds.minibatch(700, count=10, size=3, key=(1, 2))
    in_order = [seeds.minibatch(step, count=10, size=3, key=(1, 2)) for step in range(701)]

    assert in_order[700] == alone


def test_a_batch_larger_than_the_set_is_the_set() -> None:
    """With fewer samples than a batch asks for, every batch has them all."""
    assert sorted(seeds.minibatch(4, count=3, size=8, key=(1,))) == [0, 1, 2]


@pytest.mark.parametrize(
    ("count", "asked", "held"), [(2, 32, 1), (7, 32, 1), (16, 32, 2), (128, 32, 16), (512, 32, 32)]
)
def test_at_most_an_eighth_is_held_out(count: int, asked: int, held: int) -> None:
    """Training and held-out samples are disjoint, complete, and both are never empty."""
    training, judged = seeds.holdout(count, asked, 42)

    assert held == len(judged)
    assert sorted(training + judged) == list(range(count))


def test_a_single_sample_serves_as_both() -> None:
    """One sample is better than none: it teaches and judges."""
    assert seeds.holdout(1, 32, 42) == ([0], [0])
