"""Side by side and block by block, every model predicts what it predicts alone and whole."""

import math
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from transformers import Qwen2VLForConditionalGeneration

from infra.calibration.conversations import open_processor
from infra.models.loading import load, logits_of
from quantcore.activations import Budget
from quantcore.metrics import by_token
from tasks.contest import Entrant, Nearest, Outcome, Reading, Stored, compete
from tasks.engine import OpenModel, open_model
from tasks.reader import open_export
from tests.support.examining import ON_CPU, rounded
from tests.support.models import image_sample, text_sample
from tests.support.runs import BLOCKS, World

BITS = (2, 4)
FLOAT32 = {"rtol": 1e-5, "atol": 1e-5}  # of logits, in another order of sums


class Ring(NamedTuple):
    """A 16-bit model, exports of it by their bits, and what they are compared on."""

    source: OpenModel
    folders: dict[int, Path]
    readings: tuple[Reading, ...]

    def stored(self, bits: int) -> Stored:
        """Return an export as an entrant."""
        folder = self.folders[bits]
        return Stored(open_model(folder, ON_CPU, open_export(folder)))

    def nearest(self, bits: int) -> Nearest:
        """Return round-to-nearest on the grid of an export."""
        return Nearest(self.source, open_export(self.folders[bits]).grid)


@pytest.fixture(scope="module")
def ring(world: World, tmp_path_factory: pytest.TempPathFactory) -> Ring:
    """Return texts and pictures of many lengths, in no order, more than one batch of them."""
    root = tmp_path_factory.mktemp("exports")
    folder = world.source.path
    encoder = open_processor(folder)
    texts = [Reading(text_sample(n, seed=n), first) for n, first in ((5, 1), (31, 1), (9, 4))]
    texts += [Reading(text_sample(12, seed=seed), 1) for seed in range(4)]
    sizes = ((112, 112), (112, 56), (56, 112))
    pictures = [Reading(image_sample(encoder, size=size), 30) for size in sizes]
    return Ring(
        open_model(folder, ON_CPU),
        {bits: rounded(folder, root / str(bits), bits=bits) for bits in BITS},
        (texts[0], pictures[0], *texts[1:4], *pictures[1:], *texts[4:]),
    )


@pytest.fixture(scope="module")
def outcomes(ring: Ring, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Return what becomes of two exports, round-to-nearest, and the 16-bit model itself."""
    entrants: dict[str, Entrant] = {
        "two": ring.stored(2),
        "four": ring.stored(4),
        "nearest": ring.nearest(4),
        "itself": Stored(ring.source),
    }
    return run(ring, entrants, Budget(bytes=2**30, scratch=tmp_path_factory.mktemp("scratch")))


def run(ring: Ring, entrants: dict[str, Entrant], budget: Budget) -> dict[str, Outcome]:
    """Let entrants compete."""
    return dict(compete(ring.source, entrants, ring.readings, budget))


def same(one: Outcome, other: Outcome) -> bool:
    """Tell whether two outcomes are the same to the last bit."""
    pairs = zip(one.samples, other.samples, strict=True)
    return one.sqnr_db == other.sqnr_db and all(all(map(torch.equal, a, b)) for a, b in pairs)


def whole(world: World, export: Path | None) -> torch.nn.Module:
    """Return transformers' model in memory: the 16-bit one, or one with an export's weights."""
    folder = world.source.path
    if export is None:
        return Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tensors = open_export(export)
    weights = tensors.load_many(tensors.names)
    return load(folder, weights, device="cpu", dtype=torch.float32).model


def states_of(model: torch.nn.Module, readings: tuple[Reading, ...]) -> list[Tensor]:
    """Return the output of every decoder layer, the states of all samples in a row."""
    seen: list[list[Tensor]] = [[] for _ in range(BLOCKS)]
    layers = model.model.language_model.layers
    hooks = [
        layer.register_forward_hook(lambda _, __, out, rows=rows: rows.append(out[0]))
        for layer, rows in zip(layers, seen, strict=True)
    ]
    for reading in readings:
        logits_of(model, reading.sample)
    for hook in hooks:
        hook.remove()
    return [torch.cat(rows).double() for rows in seen]


def test_entrants_are_told_in_their_order(ring: Ring, outcomes: dict[str, Outcome]) -> None:
    """With a token for each prediction that counts, and a ratio for each block."""
    counted = [len(each.sample.input_ids) - each.first for each in ring.readings]

    assert list(outcomes) == ["two", "four", "nearest", "itself"]
    for outcome in outcomes.values():
        assert [len(sample.kl_T) for sample in outcome.samples] == counted
        assert len(outcome.sqnr_db) == BLOCKS


def test_the_16_bit_model_is_itself(outcomes: dict[str, Outcome]) -> None:
    """No divergence at all, the same token everywhere, and no noise: exactly, and not nearly."""
    itself = outcomes["itself"]

    assert all(torch.equal(each.kl_T, torch.zeros_like(each.kl_T)) for each in itself.samples)
    assert all(bool(each.agreeing_T.all()) for each in itself.samples)
    assert itself.sqnr_db == (math.inf,) * BLOCKS


def test_round_to_nearest_is_what_an_export_of_it_holds(outcomes: dict[str, Outcome]) -> None:
    """Rounded on the spot or read back from packed words: the same to the last bit."""
    assert same(outcomes["nearest"], outcomes["four"])
    assert outcomes["four"].samples[0].kl_T.sum() > 0


def test_round_to_nearest_is_the_same_in_bfloat16(world: World, ring: Ring, tmp_path: Path) -> None:
    """Where weights are rounded once more, both are rounded alike."""
    short = ON_CPU.model_copy(update={"dtype": "bfloat16"})
    folder = ring.folders[4]
    stored = Stored(open_model(folder, short, open_export(folder)))
    source = open_model(world.source.path, short)
    entrants = {"stored": stored, "nearest": Nearest(source, open_export(folder).grid)}

    found = dict(compete(source, entrants, ring.readings[:3], Budget(bytes=0, scratch=tmp_path)))

    assert same(found["stored"], found["nearest"])


@pytest.mark.parametrize(("name", "bits"), [("two", 2), ("four", 4)])
def test_predictions_are_those_of_whole_models(
    world: World, ring: Ring, outcomes: dict[str, Outcome], name: str, bits: int
) -> None:
    """Texts and pictures: transformers' own models, whole in memory, say the same of each token."""
    full, small = whole(world, None), whole(world, ring.folders[bits])

    for reading, found in zip(ring.readings, outcomes[name].samples, strict=True):
        p_TV, q_TV = (logits_of(model, reading.sample) for model in (full, small))
        counts = slice(reading.first - 1, -1)
        expected = by_token(p_TV[counts], q_TV[counts], reading.sample.input_ids[reading.first :])
        for field in ("nll_reference_T", "nll_candidate_T", "kl_T"):
            close = torch.isclose(getattr(found, field), getattr(expected, field), **FLOAT32)
            assert bool(close.all()), field
        assert torch.equal(found.agreeing_T, expected.agreeing_T)


@pytest.mark.parametrize(("name", "bits"), [("two", 2), ("four", 4)])
def test_noise_is_that_of_the_hidden_states(
    world: World, ring: Ring, outcomes: dict[str, Outcome], name: str, bits: int
) -> None:
    """At the output of each decoder layer of whole models, over the tokens of all samples."""
    pairs = zip(
        states_of(whole(world, None), ring.readings),
        states_of(whole(world, ring.folders[bits]), ring.readings),
        strict=True,
    )

    expected = [float(10 * torch.log10((a**2).sum() / ((a - b) ** 2).sum())) for a, b in pairs]

    assert list(outcomes[name].sqnr_db) == pytest.approx(expected, rel=1e-4)


def test_fewer_bits_are_more_noise(outcomes: dict[str, Outcome]) -> None:
    """At every block, by about 6 dB a bit: so the number is what people take it for."""
    gains = [
        four - two
        for four, two in zip(outcomes["four"].sqnr_db, outcomes["two"].sqnr_db, strict=True)
    ]

    assert all(8 < gain < 16 for gain in gains)


def test_nobody_is_moved_by_others(
    ring: Ring, outcomes: dict[str, Outcome], tmp_path: Path
) -> None:
    """Alone, each has the numbers that it has among others."""
    budget = Budget(bytes=2**30, scratch=tmp_path)

    assert same(run(ring, {"x": ring.stored(2)}, budget)["x"], outcomes["two"])
    assert same(run(ring, {"x": ring.nearest(4)}, budget)["x"], outcomes["nearest"])


def test_states_in_files_are_the_same(
    ring: Ring, outcomes: dict[str, Outcome], tmp_path: Path
) -> None:
    """Each chain has a file of its own, and no digit changes."""
    entrants: dict[str, Entrant] = {"two": ring.stored(2), "nearest": ring.nearest(4)}

    found = run(ring, entrants, Budget(bytes=0, scratch=tmp_path))

    assert all(same(found[name], outcomes[name]) for name in entrants)
    assert list(tmp_path.iterdir()) == []
