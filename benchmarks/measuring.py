"""Measure any checkpoint against the 16-bit model, all by the same code on the same tokens.

An exported folder is read tensor by tensor with our own unpacking, whoever wrote it, and runs in
float32 through the same blocks as the 16-bit model.  So what differs between two rows of a table is
the codes and scales that the two tools chose, and nothing else.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer

from infra.calibration.sample import Sample
from infra.models.tensors import Tensors
from quantcore.metrics import NOTHING, Fidelity, fidelity, merge
from tasks.engine import budget_of, open_model
from tasks.reader import open_export
from tasks.specs import ComputeSpec
from tasks.streaming import as_it_is, stream_logits

FLOAT32 = ComputeSpec(device="cpu", dtype="float32")
Z95 = 1.96


@dataclass(frozen=True, slots=True)
class Yardstick:
    """The 16-bit model's predictions on held-out samples."""

    folder: Path
    samples: tuple[Sample, ...]
    counted: tuple[Tensor, ...]  # bool [T - 1] a sample: whose prediction of the next token counts
    logits: tuple[Tensor, ...]  # [T, V] a sample

    @classmethod
    def of(cls, folder: Path, samples: Sequence[Sample]) -> "Yardstick":
        """Run the 16-bit model."""
        counted = tuple(_counted(folder, sample) for sample in samples)
        return cls(folder, tuple(samples), counted, tuple(_logits(folder, samples, None)))

    def measure(self, export: Path) -> tuple[Fidelity, ...]:
        """Return how far an exported checkpoint is from the 16-bit model, sample by sample."""
        theirs = _logits(self.folder, self.samples, open_export(export))
        return tuple(
            fidelity(reference[:-1][keep], candidate[:-1][keep], sample.input_ids[1:][keep])
            for reference, candidate, sample, keep in zip(
                self.logits, theirs, self.samples, self.counted, strict=True
            )
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean and its 95 % interval."""

    mean: float
    half_width: float

    def __str__(self) -> str:
        """Write it as it stands in a table."""
        return f"{self.mean:+.2e} ± {self.half_width:.1e}"


def total(parts: Sequence[Fidelity]) -> Fidelity:
    """Add up samples."""
    summed = NOTHING
    for part in parts:
        summed = merge(summed, part)
    return summed


def paired(ours: Sequence[Sequence[Fidelity]], theirs: Sequence[Sequence[Fidelity]]) -> Difference:
    """Return the difference of mean KL, ours minus theirs, on the same samples.

    Runs with different seeds are averaged first, sample by sample; the interval then speaks of
    other samples of the same kind.  How much seeds matter is another column of the table.
    """
    mine, others = _mean_kl(ours), _mean_kl(theirs)
    apart = mine - others
    error = float(apart.std()) / len(apart) ** 0.5
    return Difference(float(apart.mean()), Z95 * error)


def _mean_kl(runs: Sequence[Sequence[Fidelity]]) -> Tensor:
    """Return the mean KL of each sample over the runs."""
    kl = torch.tensor([[part.mean_kl for part in run] for run in runs], dtype=torch.float64)
    return kl.mean(0)


def _counted(folder: Path, sample: Sample) -> Tensor:
    """Return which predictions count: all of a text, the answers alone where there is a picture.

    Questions are put to the model; it is not asked to foretell them, nor the picture's tokens.
    """
    if sample.pixel_values is None:
        return torch.ones(len(sample.input_ids) - 1, dtype=torch.bool)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    opening = torch.tensor(tokenizer.encode("<|im_start|>assistant\n"))
    closing = tokenizer.convert_tokens_to_ids("<|im_end|>")
    answers = torch.zeros(len(sample.input_ids), dtype=torch.bool)
    windows = sample.input_ids.unfold(0, len(opening), 1)
    for start in (windows == opening).all(1).nonzero().flatten().tolist():
        first = start + len(opening)
        length = int((sample.input_ids[first:] == closing).int().argmax()) + 1
        answers[first : first + length] = True
    return answers[1:]


def _logits(folder: Path, samples: Sequence[Sample], tensors: Tensors | None) -> list[Tensor]:
    model = open_model(folder, FLOAT32, tensors)
    with tempfile.TemporaryDirectory() as scratch:
        budget = budget_of(FLOAT32, Path(scratch), chains=1)
        return list(stream_logits(model, samples, as_it_is, budget))
