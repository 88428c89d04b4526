"""A block is learned, judged on samples it has not seen, and its chains move on."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from quantcore import seeds
from quantcore.block import Block, QuantizedBlock, advance, nearest_block
from quantcore.grid import IntGrid, QuantizedWeight, dequantize
from quantcore.learning import learn_block
from quantcore.signround import SignRound, round_to_nearest
from tests.support import blocks
from tests.support.blocks import Lesson

GRID = IntGrid(group_size=32)
QUICK = SignRound(iters=12, batch_size=4)
LENGTHS = [16, 9, 16, 3, 12, 16, 1, 14, 16, 7, 16, 16]


def gaussian(features_out: int = 64, features_in: int = 64, *, seed: int = 0) -> Tensor:
    """Return a random weight."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(features_out, features_in, generator=draw) * 0.02


def decoder_lesson(
    *, index: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[Block, torch.nn.Module, Lesson]:
    """Return a decoder block and texts of many lengths for it."""
    block, module = blocks.decoder(index=index, dtype=dtype)
    return block, module, blocks.lesson(block, *blocks.texts(LENGTHS))


def held_out(lesson: Lesson, how: SignRound) -> list[int]:
    """Return the numbers of the samples that candidates are judged on."""
    return seeds.holdout(len(lesson.inputs), how.holdout, how.seed, "split")[1]


def error_one_by_one(
    block: Block, lesson: Lesson, samples: list[int], weights: Mapping[str, QuantizedWeight]
) -> float:
    """Return the mean squared error over all values of ``samples``, each run on its own."""
    exchanged = {name: dequantize(weight, block.dtype) for name, weight in weights.items()}
    total, count = 0.0, 0
    for sample in samples:
        batch = lesson.inputs.batch([sample], block.device, block.dtype)
        with torch.no_grad():
            out_TH = block.forward(exchanged, batch)[0].double()
        total += float((out_TH - lesson.targets.get(sample).double()).square().sum())
        count += out_TH.numel()
    return total / count


def losses_of(learned: QuantizedBlock) -> tuple[float, float]:
    """Return the held-out losses of round-to-nearest and of what was kept."""
    assert learned.losses is not None
    return learned.losses.nearest, learned.losses.chosen


# ── Does it learn, and only where there is something to learn? ──


def test_correlated_inputs_are_learned() -> None:
    """On AR(1) inputs SignRound reaches less than 0.8 of round-to-nearest's error, on new ones.

    It pays with the weights: together they are further from the source than the nearest codes.
    """
    weight_OI = gaussian()
    block = blocks.linear(weight_OI)
    lesson = blocks.lesson(block, [blocks.ar1(32, 64, seed=n) for n in range(16)])
    fresh = blocks.ar1(512, 64, seed=1000)

    learned = learn_block(block, *lesson, GRID, SignRound(iters=120))

    def errors(quantized: QuantizedWeight) -> tuple[float, float]:
        moved_OI = dequantize(quantized, torch.float32) - weight_OI
        return float((fresh @ moved_OI.t()).square().sum()), float(moved_OI.square().sum())

    output, weight = errors(learned.weights["w"])
    nearest_output, nearest_weight = errors(round_to_nearest("w", weight_OI, GRID))
    assert output < 0.8 * nearest_output
    assert weight > 1.1 * nearest_weight
    nearest, chosen = losses_of(learned)
    assert chosen < 0.8 * nearest


def test_there_is_nothing_to_learn_from_orthogonal_inputs() -> None:
    """With X'X = I each weight's error counts alone, so round-to-nearest is all but best."""
    block = blocks.linear(gaussian())
    lesson = blocks.lesson(block, [blocks.orthogonal(64, seed=n) for n in range(16)])

    nearest, chosen = losses_of(learn_block(block, *lesson, GRID, SignRound(iters=120)))

    assert 0.9 * nearest < chosen <= nearest


def test_upstream_error_is_made_good() -> None:
    """The target is clean and the input is not: a block learns to undo part of what came before."""
    weight_OI = gaussian()
    block = blocks.linear(weight_OI)
    clean = [blocks.ar1(32, 64, seed=n) for n in range(16)]
    targets = blocks.lesson(block, clean).targets
    disturbed = blocks.chain([sample * 1.02 for sample in clean])  # 2 % too loud

    learned = learn_block(block, disturbed, targets, GRID, SignRound(iters=120))

    kept_OI = dequantize(learned.weights["w"], torch.float32)
    gain = float((kept_OI * weight_OI).sum() / weight_OI.square().sum())
    assert gain < 0.995


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("symmetric", [True, False])
def test_a_decoder_block_is_learned_in_both_precisions(
    dtype: torch.dtype, *, symmetric: bool
) -> None:
    """Seven Linears at once, through attention and gates, in fp32 and in bf16."""
    block, _, lesson = decoder_lesson(dtype=dtype)
    grid = IntGrid(group_size=32, symmetric=symmetric)

    learned = learn_block(block, *lesson, grid, SignRound(iters=24, batch_size=4))

    nearest, chosen = losses_of(learned)
    assert chosen < 0.8 * nearest
    assert learned.fallback is None
    assert set(learned.weights) == set(block.weights)


# ── Who is the judge? ──


def test_the_judge_is_a_part_of_the_samples_that_no_step_saw() -> None:
    """The losses reported are the plain mean squared errors over the held-out samples."""
    block, _, lesson = decoder_lesson()

    learned = learn_block(block, *lesson, GRID, QUICK)

    held, (nearest, chosen) = held_out(lesson, QUICK), losses_of(learned)
    rounded = nearest_block(block.weights, GRID).weights
    assert nearest == pytest.approx(error_one_by_one(block, lesson, held, rounded), rel=1e-5)
    assert chosen == pytest.approx(error_one_by_one(block, lesson, held, learned.weights), rel=1e-5)


def test_an_easy_batch_wins_nothing() -> None:
    """One quiet sample gives tiny training losses; the best step is still the held-out one."""
    block = blocks.linear(gaussian())
    how = SignRound(iters=60, batch_size=1)
    samples = [blocks.ar1(32, 64, seed=n) for n in range(16)]
    quiet = next(
        n for n in range(16) if n not in held_out(Lesson(*[blocks.chain(samples)] * 2), how)
    )
    samples[quiet] = samples[quiet] * 1e-3
    lesson = blocks.lesson(block, samples)

    learned = learn_block(block, *lesson, GRID, how)

    assert learned.losses is not None
    luckiest = 1 + min(range(60), key=learned.losses.training.__getitem__)
    assert luckiest not in how.check_points()
    by_loss = {loss: step for step, loss in learned.losses.checks}
    assert by_loss[min(by_loss)] == learned.chosen_iteration != luckiest
    assert min(by_loss) == learned.losses.chosen


def test_what_only_helps_in_training_is_not_kept() -> None:
    """Targets that lie are learned, so the training loss falls, and the judge refuses it all."""
    block = blocks.linear(gaussian())
    how = SignRound(iters=60, batch_size=8)
    lesson = blocks.lesson(block, [blocks.ar1(32, 64, seed=n) for n in range(16)])
    for sample in range(16):
        if sample not in held_out(lesson, how):
            lesson.targets.put(sample, 0.7 * lesson.targets.get(sample))

    learned = learn_block(block, *lesson, GRID, how)

    assert learned.losses is not None
    assert learned.losses.training[-1] < 0.9 * learned.losses.training[0]
    assert learned.chosen_iteration == 0
    assert blocks.digest(nearest_block(block.weights, GRID).weights) == blocks.digest(
        learned.weights
    )
    assert learned.fallback is not None
    assert "no candidate was better" in learned.fallback


def test_every_candidate_is_on_record() -> None:
    """One training loss a step, one held-out loss a check, round-to-nearest first of all."""
    block, _, lesson = decoder_lesson()
    seen: list[tuple[int, float]] = []

    learned = learn_block(
        block, *lesson, GRID, QUICK, progress=lambda step, loss: seen.append((step, loss))
    )

    assert learned.losses is not None
    assert seen == list(enumerate(learned.losses.training, start=1))
    assert [step for step, _ in learned.losses.checks] == [0, *sorted(QUICK.check_points())]
    assert learned.losses.checks[0][1] == learned.losses.nearest
    targets = [lesson.targets.get(sample) for sample in held_out(lesson, QUICK)]
    signal = float(torch.cat(targets).square().mean())
    assert learned.losses.signal == pytest.approx(signal, rel=1e-5)


# ── Samples of every length and number ──


def test_padding_never_changes_a_loss() -> None:
    """A padded batch's loss is the mean over valid tokens of samples run one by one."""
    block, _, lesson = decoder_lesson()
    how = SignRound(iters=1, batch_size=len(LENGTHS))  # the first step is round-to-nearest

    learned = learn_block(block, *lesson, GRID, how)

    assert learned.losses is not None
    training = seeds.holdout(len(LENGTHS), how.holdout, how.seed, "split")[0]
    rounded = nearest_block(block.weights, GRID).weights
    one_by_one = error_one_by_one(block, lesson, training, rounded)
    assert learned.losses.training[0] == pytest.approx(one_by_one, rel=1e-5)


def test_a_sample_is_not_changed_by_its_neighbours() -> None:
    """In a padded batch each sample has its own rotary embeddings and its own causal past."""
    block, _, lesson = decoder_lesson()

    batch = lesson.inputs.batch(list(range(12)), block.device, block.dtype)
    together = block.forward({}, batch)

    for sample, length in enumerate(LENGTHS):
        alone = lesson.targets.get(sample)
        torch.testing.assert_close(alone, together[sample, :length], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_few_samples_are_enough(samples: int) -> None:
    """A batch larger than the set is the set; a single sample both teaches and judges."""
    block = blocks.linear(gaussian())
    lesson = blocks.lesson(block, [blocks.ar1(32, 64, seed=n) for n in range(samples)])

    nearest, chosen = losses_of(
        learn_block(block, *lesson, GRID, SignRound(iters=50, batch_size=8))
    )

    assert chosen < nearest


def test_no_steps_is_round_to_nearest_with_its_loss() -> None:
    """iters=0 runs through the same code, measures, and is not called a fallback."""
    block, _, lesson = decoder_lesson()

    learned = learn_block(block, *lesson, GRID, SignRound(iters=0))

    assert blocks.digest(nearest_block(block.weights, GRID).weights) == blocks.digest(
        learned.weights
    )
    assert (learned.chosen_iteration, learned.fallback) == (0, None)
    nearest, chosen = losses_of(learned)
    assert nearest == chosen > 0


# ── What a block leaves behind ──


def test_learning_changes_nothing_of_the_block() -> None:
    """Parameters, buffers, hooks, modes and gradients are what they were; hooks never go on."""
    block, module, lesson = decoder_lesson()

    def everything() -> list[object]:
        tensors = {name: bytes(t.numpy().tobytes()) for name, t in module.state_dict().items()}
        hooks = [
            (
                dict(m._forward_hooks),
                dict(m._forward_pre_hooks),
                dict(m._backward_hooks),
                m.training,
            )
            for m in module.modules()
        ]
        grads = [(p.grad, p.requires_grad, id(p)) for p in module.parameters()]
        return [tensors, hooks, grads]

    before = everything()
    inputs, targets = lesson.inputs.states.clone(), lesson.targets.states.clone()

    learn_block(block, *lesson, GRID, QUICK)

    assert before == everything()
    assert torch.equal(inputs, lesson.inputs.states)
    assert torch.equal(targets, lesson.targets.states)
    assert torch.is_grad_enabled()


def test_codes_come_home_to_the_cpu() -> None:
    """What is kept is plain codes without a graph, ready to be written."""
    block, _, lesson = decoder_lesson()

    learned = learn_block(block, *lesson, GRID, QUICK)

    for weight in learned.weights.values():
        dtypes = [tensor.dtype for tensor in weight]
        assert dtypes == [torch.uint8, torch.float16, torch.uint8]
        assert not any(tensor.requires_grad or tensor.is_cuda for tensor in weight)


# ── Chains through a block ──


@pytest.mark.parametrize("size", [1, 5, 64])
def test_a_chain_advances_through_the_16_bit_block(size: int) -> None:
    """Each sample becomes what the block gives for it alone, whatever the batch size."""
    block, _, lesson = decoder_lesson()

    advance(block, lesson.inputs, {}, size)

    torch.testing.assert_close(lesson.targets.states, lesson.inputs.states, rtol=1e-5, atol=1e-5)


def test_a_chain_advances_through_the_codes() -> None:
    """The quantized chain sees exactly the weights that will be published."""
    weight_OI = gaussian()
    block = blocks.linear(weight_OI)
    samples = [blocks.ar1(length, 64, seed=length) for length in (4, 9, 2)]
    chain = blocks.chain(samples)
    weights = nearest_block(block.weights, GRID).weights

    advance(block, chain, weights, 1)

    kept_OI = dequantize(weights["w"], torch.float32)
    for sample, before in enumerate(samples):
        torch.testing.assert_close(before @ kept_OI.t(), chain.get(sample))


def test_two_chains_go_through_two_blocks() -> None:
    """Targets stay on the 16-bit chain, inputs on the quantized one, and both move in step."""
    blocks_16bit = [blocks.linear(gaussian(seed=n), index=n) for n in range(2)]
    samples = [blocks.ar1(16, 64, seed=n) for n in range(8)]
    full, quantized = blocks.chain(samples), blocks.chain(samples)

    kept = []
    for block in blocks_16bit:
        advance(block, full, {}, 4)
        learned = learn_block(block, quantized, full, GRID, QUICK)
        advance(block, quantized, learned.weights, 4)
        kept.append(dequantize(learned.weights["w"], torch.float32))

    weights_16bit = [block.weights["w"] for block in blocks_16bit]
    for chain, (first_OI, second_OI) in ((full, weights_16bit), (quantized, kept)):
        torch.testing.assert_close(torch.cat(samples) @ first_OI.t() @ second_OI.t(), chain.states)
