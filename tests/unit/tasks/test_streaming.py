"""A model that runs block by block is the model: transformers' own, whole in memory, agrees."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import Qwen2VLForConditionalGeneration

from infra.calibration.conversations import open_processor
from infra.calibration.sample import Sample
from infra.models.loading import logits_of
from quantcore.activations import Budget
from tasks.engine import open_model
from tasks.specs import ComputeSpec
from tasks.streaming import as_it_is, stream_logits
from tests.support.models import Weights, as_resaved, image_sample, rewritten, text_sample, without
from tests.support.runs import World

ON_CPU = ComputeSpec(device="cpu", dtype="float32")
TOLERANCE = 5e-6  # of the largest logit: float32, in another order of sums


@pytest.fixture(scope="module")
def samples(world: World) -> list[Sample]:
    """Return texts and pictures of many lengths and shapes, in no order: more than one batch."""
    encoder = open_processor(world.source.path)
    texts = [text_sample(length, seed=length) for length in (5, 31, 2, 17, 31, 8)]
    pictures = [image_sample(encoder, size=s) for s in ((112, 112), (112, 56), (56, 112), (56, 56))]
    return [texts[0], pictures[0], *texts[1:4], *pictures[1:], *texts[4:]]


def streamed(folder: Path, samples: list[Sample], budget: Budget) -> list[Tensor]:
    """Run samples through the 16-bit model, block by block."""
    return list(stream_logits(open_model(folder, ON_CPU), samples, as_it_is, budget))


def whole(folder: Path, samples: list[Sample]) -> list[Tensor]:
    """Run samples one by one through transformers' model."""
    model = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    return [logits_of(model, sample) for sample in samples]


def largest_difference(found: list[Tensor], expected: list[Tensor]) -> float:
    """Return the largest difference, as a share of the largest logit of its sample."""
    pairs = zip(found, expected, strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


@pytest.mark.parametrize(
    ("rename", "config"),
    [
        (dict, {}),
        (as_resaved, {}),
        (without("lm_head.weight"), {"tie_word_embeddings": True}),
    ],
    ids=["source-names", "resaved-names", "tied-head"],
)
def test_streaming_gives_the_logits_of_transformers(
    world: World,
    samples: list[Sample],
    tmp_path: Path,
    rename: Callable[[Weights], Weights],
    config: Mapping[str, Any],
) -> None:
    """Texts and pictures of all lengths, in padded batches, agree with the whole model."""
    folder = rewritten(world.source.path, tmp_path / "model", weights=rename, config=config)

    found = streamed(folder, samples, Budget(bytes=2**30, scratch=tmp_path))

    assert [len(logits) for logits in found] == [len(sample.input_ids) for sample in samples]
    assert largest_difference(found, whole(folder, samples)) < TOLERANCE


def test_shards_give_the_logits_of_transformers(tiny_sharded_model: Path, tmp_path: Path) -> None:
    """A model in three files with an index is read as well as one in a single file."""
    samples = [text_sample(12), image_sample(open_processor(tiny_sharded_model))]

    found = streamed(tiny_sharded_model, samples, Budget(bytes=2**30, scratch=tmp_path))

    assert largest_difference(found, whole(tiny_sharded_model, samples)) < TOLERANCE


def test_a_batch_changes_nothing_of_its_samples(
    world: World, samples: list[Sample], tmp_path: Path
) -> None:
    """Each sample keeps its own length and rotary embeddings: alone it has the same logits."""
    budget = Budget(bytes=2**30, scratch=tmp_path)
    together = streamed(world.source.path, samples, budget)
    alone = [streamed(world.source.path, [sample], budget)[0] for sample in samples[:4]]

    assert largest_difference(together[:4], alone) < TOLERANCE


def test_activations_in_a_file_are_the_same(
    world: World, samples: list[Sample], tmp_path: Path
) -> None:
    """Where activations live changes no bit of what comes out."""
    in_memory = streamed(world.source.path, samples, Budget(bytes=2**30, scratch=tmp_path))
    in_file = streamed(world.source.path, samples, Budget(bytes=0, scratch=tmp_path))

    assert all(torch.equal(a, b) for a, b in zip(in_file, in_memory, strict=True))
