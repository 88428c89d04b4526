"""A block that cannot be learned is round-to-nearest and says why, or is refused by name."""

import math

import pytest
import torch
from torch import Tensor

from quantcore import seeds
from quantcore.block import nearest_block
from quantcore.errors import (
    EmptyCalibrationError,
    GroupSizeError,
    NonFiniteBlockError,
    NonFiniteWeightError,
    WeightRangeError,
)
from quantcore.grid import IntGrid
from quantcore.judge import Candidate, better
from quantcore.learning import learn_block
from quantcore.signround import SignRound
from tests.support import blocks

GRID = IntGrid(group_size=32)
QUICK = SignRound(iters=12, batch_size=4)


def gaussian(features_out: int = 64, features_in: int = 64, *, seed: int = 0) -> Tensor:
    """Return a random weight."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(features_out, features_in, generator=draw) * 0.02


def held_out(samples: int, how: SignRound) -> list[int]:
    """Return the numbers of the samples that candidates are judged on."""
    return seeds.holdout(samples, how.holdout, how.seed, "split")[1]


def test_a_rate_without_measure_falls_back_and_says_so() -> None:
    """Steps of a million codes ruin every candidate: round-to-nearest is kept, with the reason."""
    block = blocks.linear(gaussian())
    lesson = blocks.lesson(block, [blocks.ar1(8, 64, seed=n) for n in range(10)])

    learned = learn_block(block, *lesson, GRID, SignRound(iters=8, batch_size=4, lr=1e6))

    assert learned.chosen_iteration == 0
    assert learned.fallback is not None
    assert "no candidate was better than round-to-nearest" in learned.fallback
    assert blocks.digest(nearest_block(block.weights, GRID).weights) == blocks.digest(
        learned.weights
    )
    assert learned.losses is not None
    assert learned.losses.nearest == learned.losses.chosen


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_loss_that_is_not_finite_falls_back_and_says_when(dtype: torch.dtype) -> None:
    """An activation that overflows in one training sample ends learning there, not the run."""
    block = blocks.linear(gaussian(), dtype=dtype)
    how = SignRound(iters=20, batch_size=2)
    lesson = blocks.lesson(block, [blocks.ar1(8, 64, seed=n) for n in range(10)])
    loud = next(n for n in range(10) if n not in held_out(10, how))
    lesson.inputs.put(loud, torch.full((8, 64), 3e38))

    learned = learn_block(block, *lesson, GRID, how)

    assert learned.losses is not None
    steps = len(learned.losses.training)
    assert not math.isfinite(learned.losses.training[-1])
    assert all(math.isfinite(loss) for loss in learned.losses.training[:-1])
    assert learned.fallback == (
        f"the loss was not finite at iteration {steps}; kept round-to-nearest"
    )
    assert math.isfinite(learned.losses.chosen)


def test_candidates_found_before_a_lost_loss_still_count() -> None:
    """A good candidate is kept even if a later step was lost; the curve shows where it ends."""
    block = blocks.linear(gaussian())
    how = SignRound(iters=40, batch_size=1, checks=20)
    lesson = blocks.lesson(block, [blocks.ar1(32, 64, seed=n) for n in range(32)])
    training = seeds.holdout(32, how.holdout, how.seed, "split")[0]
    picks = [
        seeds.minibatch(step, count=len(training), size=1, key=(how.seed, 0))[0]
        for step in range(28)
    ]
    lesson.inputs.put(training[picks[27]], torch.full((32, 64), 3e38))  # its first turn is step 28

    learned = learn_block(block, *lesson, GRID, how)

    assert learned.losses is not None
    assert len(learned.losses.training) == 28
    assert 20 <= learned.chosen_iteration < 28
    assert learned.fallback is None


def test_inputs_that_are_all_lost_are_said_to_be() -> None:
    """If not even round-to-nearest is finite, the reason says so; NaN is never called better."""
    block = blocks.linear(gaussian())
    lesson = blocks.lesson(block, [blocks.ar1(8, 64, seed=n) for n in range(10)])
    for sample in range(10):
        lesson.inputs.put(sample, torch.full((8, 64), math.nan))

    learned = learn_block(block, *lesson, GRID, QUICK)

    assert learned.chosen_iteration == 0
    assert learned.fallback is not None
    assert "round-to-nearest included" in learned.fallback


@pytest.mark.parametrize(
    ("best", "candidate", "winner"),
    [
        (2.0, 1.0, 1.0),
        (1.0, 2.0, 1.0),
        (math.nan, 2.0, 2.0),
        (math.inf, 2.0, 2.0),
        (2.0, math.nan, 2.0),
        (math.inf, math.nan, math.inf),
    ],
)
def test_a_candidate_wins_by_less_error_and_never_without_a_number(
    best: float, candidate: float, winner: float
) -> None:
    """A lost loss neither wins nor shuts out a finite one."""
    assert better(Candidate(0, {}, best), Candidate(5, {}, candidate)).loss == winner


def test_of_equal_candidates_the_earlier_is_kept() -> None:
    """A draw changes nothing, so that a block that cannot improve stays round-to-nearest."""
    assert better(Candidate(0, {}, 1.0), Candidate(5, {}, 1.0)).iteration == 0


@pytest.mark.parametrize("sample", [0, 4, 9])
def test_a_broken_target_is_named_wherever_it_is(sample: int) -> None:
    """The 16-bit block's own overflow is an error that names block, sample and precision."""
    block = blocks.linear(gaussian(), index=17)
    lesson = blocks.lesson(block, [blocks.ar1(8, 64, seed=n) for n in range(10)])
    lesson.targets.get(sample)[3, 5] = math.inf

    named = f"Block 17 gives NaN or infinite outputs for calibration sample {sample} in float32"
    with pytest.raises(NonFiniteBlockError, match=named):
        learn_block(block, *lesson, GRID, QUICK)


def test_broken_weights_are_named_with_and_without_samples() -> None:
    """NaN, a range beyond float16 and a size that does not divide stop a block by its tensor."""
    block = blocks.linear(gaussian())
    lesson = blocks.lesson(block, [blocks.ar1(8, 64, seed=n) for n in range(4)])
    for spoil, error, said in (
        (math.nan, NonFiniteWeightError, "w holds 1 values of 4096"),
        (1e9, WeightRangeError, r"w holds weights up to 1e\+09"),
    ):
        weight_OI = gaussian()
        weight_OI[5, 7] = spoil
        with pytest.raises(error, match=said):
            learn_block(blocks.linear(weight_OI), *lesson, GRID, QUICK)
        with pytest.raises(error, match=said):
            nearest_block({"w": weight_OI}, GRID)
    with pytest.raises(GroupSizeError, match="does not divide in_features=64"):
        nearest_block(block.weights, IntGrid(group_size=128))


def test_learning_without_samples_is_refused() -> None:
    """The error says what to give, or that iters=0 needs none."""
    empty = blocks.Chain([], torch.empty(0, 64), [])

    with pytest.raises(EmptyCalibrationError, match="iters=0"):
        learn_block(blocks.linear(gaussian()), empty, empty, GRID, QUICK)
