"""Perplexity, KL and agreement are those of the two whole models on the same tokens."""

import math
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from transformers import Qwen2VLForConditionalGeneration

from infra.calibration.collect import collect
from infra.calibration.spec import CalibrationSpec
from infra.models.loading import load
from infra.models.tensors import TensorIndex
from infra.store import FolderStore
from quantcore.grid import dequantize
from tasks.codes import read_codes
from tasks.evaluate import text_fidelity
from tasks.specs import BlockRecord, ComputeSpec, QuantizationSpec, TextFidelity
from tests.support.calibration import a_spec, write_documents
from tests.support.runs import World, quantized

ON_CPU = ComputeSpec(device="cpu", dtype="float32")


class Compared(NamedTuple):
    """A run at some width, and how it compares."""

    store: Path
    records: tuple[BlockRecord, ...]
    fidelity: TextFidelity


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> CalibrationSpec:
    """Return texts that no run here learned from."""
    path = tmp_path_factory.mktemp("held-out") / "texts.jsonl"
    return a_spec(write_documents(path, 20, sentences=5), nsamples=6, seqlen=40, seed=3)


@pytest.fixture(scope="module")
def compared(
    world: World, held_out: CalibrationSpec, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, Compared]:
    """Return the model rounded to 2 and to 8 bits, each compared with its source."""
    found = {}
    for bits in (2, 8):
        store = tmp_path_factory.mktemp("store")
        asked = QuantizationSpec.model_validate({"iters": 0, "bits": bits, "group_size": 32})
        records = quantized(world.plan(store, quantization=asked))
        told = text_fidelity.fn(world.source, records, held_out, ON_CPU, store)
        found[bits] = Compared(store, records, told)
    return found


def test_eight_bits_are_all_but_the_source(compared: dict[int, Compared]) -> None:
    """Rounding to 8 bits leaves next to no divergence, and rounding to 2 bits a great deal."""
    two, eight = compared[2].fidelity, compared[8].fidelity

    assert 0 < eight.mean_kl < 1e-3
    assert eight.top1_agreement > 0.95
    assert two.mean_kl > 100 * eight.mean_kl
    assert two.top1_agreement < eight.top1_agreement
    assert two.perplexity_16bit == eight.perplexity_16bit


@torch.no_grad()
def test_the_numbers_are_those_of_whole_models(
    world: World, held_out: CalibrationSpec, compared: dict[int, Compared]
) -> None:
    """Transformers' own model, loaded whole in 16 bit and with 2-bit weights, gives the same."""
    run = compared[2]
    index = TensorIndex.open(world.source.path)
    weights = index.load_many(index.names)
    for record in run.records:
        for name, codes in read_codes(FolderStore(run.store).open(record.ref)).items():
            weights[name] = dequantize(codes, torch.float32)
    folder = world.source.path
    full = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    small = load(folder, weights, device="cpu", dtype=torch.float32).model
    tokens = [sample.input_ids for sample in collect(held_out, folder).samples]

    p, q = (torch.cat([log_probabilities(model, row) for row in tokens]) for model in (full, small))

    following = torch.cat([row[1:] for row in tokens])[:, None]
    told = run.fidelity
    assert told.tokens == len(following) == 6 * 39
    assert math.isclose(
        told.perplexity_16bit, math.exp(-p.gather(1, following).mean()), rel_tol=1e-5
    )
    assert math.isclose(
        told.perplexity_int4, math.exp(-q.gather(1, following).mean()), rel_tol=1e-5
    )
    assert math.isclose(told.mean_kl, (p.exp() * (p - q)).sum(1).mean(), rel_tol=1e-4)
    assert told.top1_agreement == float((p.argmax(1) == q.argmax(1)).double().mean())


def test_activations_in_a_file_give_the_same_numbers(
    world: World, held_out: CalibrationSpec, compared: dict[int, Compared]
) -> None:
    """A small memory budget changes no digit."""
    run = compared[2]
    tiny = ON_CPU.model_copy(update={"activation_gib": 1e-9})

    again = text_fidelity.fn(world.source, run.records, held_out, tiny, run.store)

    assert again == run.fidelity


def log_probabilities(model: torch.nn.Module, tokens: Tensor) -> Tensor:
    """Return the log-probabilities of each next token, in float64."""
    return torch.log_softmax(model(input_ids=tokens[None]).logits[0, :-1].double(), dim=-1)
