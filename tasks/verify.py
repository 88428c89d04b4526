"""Read each export back before anything else may use it.

Clients fail silently: a wrong name becomes random weights and a warning.  So three things are
asked of the files themselves.  Do they unpack to the codes that were learned?  Does transformers'
own loader find every key, and none too many?  Do a text and an image prompt, through the export's
own tokenizer and processor, give the logits of the engine's model?
"""

import math
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image
from prefect import task
from prefect.cache_policies import NO_CACHE
from torch import Tensor

from infra.calibration.conversations import Turn, encode, open_processor
from infra.calibration.images import Picture
from infra.calibration.sample import Sample
from infra.models.loading import keys_of, load, logits_of
from infra.models.source import ModelSource
from infra.store import FolderStore
from quantcore.activations import Budget
from quantcore.grid import IntGrid
from tasks.codes import read_codes
from tasks.engine import OpenModel, budget_of, grid_of, open_model, torch_threads
from tasks.reader import ExportedTensors, open_export
from tasks.specs import (
    BlockRecord,
    ComputeSpec,
    ExportResult,
    FolderChecks,
    QuantizationSpec,
    VerifyReport,
)
from tasks.streaming import CodesOf, as_it_is, stream_logits

# Largest accepted |difference| / max |logit|: the same sums in float32; bfloat16 keeps 8 bits.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
TEXT = "Name three things that roll, and say why they do."
ABOUT_IMAGE = "Describe the picture."
SIDE = 112  # pixels
WHOLE_MODEL_BYTES = 2 * 2**30  # up to here transformers loads it; above, it is streamed


@task(task_run_name="verify {result.variant}", cache_policy=NO_CACHE, persist_result=False)
def verify_export(
    source: ModelSource,
    records: tuple[BlockRecord, ...],
    quantization: QuantizationSpec,
    result: ExportResult,
    compute: ComputeSpec,
    store_root: Path,
) -> VerifyReport:
    """Check every exported folder of a variant against the stored codes.

    Raises:
        InfraError: A folder cannot be read at all.
    """
    started = time.perf_counter()
    store, grid = FolderStore(store_root), grid_of(quantization)
    codes_of = _stored({record.block: store.open(record.ref) for record in records})
    with torch_threads(compute.threads), tempfile.TemporaryDirectory() as scratch:
        budget = budget_of(compute, Path(scratch), chains=1)
        engine = open_model(source.path, compute)
        prompts = verification_prompts(source.path)
        expected = list(stream_logits(engine, prompts, codes_of, budget))
        folders = {
            kind: _check(folder, grid, engine, codes_of, expected, budget)
            for kind, folder in result.folders.items()
        }
    return VerifyReport(folders=folders, seconds=time.perf_counter() - started)


def verification_prompts(folder: Path) -> tuple[Sample, Sample]:
    """Return a text and an image prompt, made by the folder's own tokenizer and processor."""
    encoder = open_processor(folder)
    ramp = Image.linear_gradient("L").resize((SIDE, SIDE))
    picture = Picture(Image.merge("RGB", (ramp, ramp.rotate(90), ramp.rotate(180))), "")
    text = encode((Turn("user", TEXT),), None, encoder, place="the text prompt")
    image = encode((Turn("user", ABOUT_IMAGE),), picture, encoder, place="the image prompt")
    return text, image


def _check(
    folder: Path,
    grid: IntGrid,
    engine: OpenModel,
    codes_of: CodesOf,
    expected: Sequence[Tensor],
    budget: Budget,
) -> FolderChecks:
    """Check one folder."""
    tensors = open_export(folder)
    shapes = {name: tensors.shape(name) for name in tensors.names}
    keys = keys_of(folder, shapes)
    text_error, image_error = None, None
    if not keys.wrong:
        export = OpenModel(tensors, engine.family, engine.place)
        prompts = verification_prompts(folder)
        size = sum(map(math.prod, shapes.values())) * engine.place.dtype.itemsize
        found = (
            _client_logits(folder, export, prompts)
            if size <= WHOLE_MODEL_BYTES
            else stream_logits(export, prompts, as_it_is, budget)
        )
        text_error, image_error = (
            float((logits.cpu() - wanted.cpu()).abs().max() / wanted.abs().max())
            for logits, wanted in zip(found, expected, strict=True)
        )
    blocks = range(engine.family.blocks)
    return FolderChecks(
        quantized_modules=len(tensors.modules),
        expected_modules=sum(len(engine.family.linears(block)) for block in blocks),
        missing_keys=keys.missing,
        unexpected_keys=keys.unexpected,
        mismatched_keys=keys.mismatched,
        codes_equal=tensors.grid == grid and _codes_equal(tensors, blocks, codes_of),
        text_logit_error=text_error,
        image_logit_error=image_error,
        logit_tolerance=TOLERANCE[engine.place.dtype],
    )


def _client_logits(folder: Path, export: OpenModel, prompts: Sequence[Sample]) -> Iterator[Tensor]:
    """Yield the logits of transformers' own model, loaded whole."""
    place, tensors = export.place, export.tensors
    weights = {name: tensors.load(name).to(place.dtype) for name in tensors.names}
    client = load(folder, weights, device=place.device.type, dtype=place.dtype).model
    for prompt in prompts:
        yield logits_of(client, prompt)


def _codes_equal(tensors: ExportedTensors, blocks: Iterable[int], codes_of: CodesOf) -> bool:
    """Compare every unpacked Linear with what was learned, bit for bit."""
    return all(
        f"{name.removesuffix('.weight')}.qweight" in tensors.index
        and all(
            torch.equal(read, kept)
            for read, kept in zip(tensors.codes(name.removesuffix(".weight")), weight, strict=True)
        )
        for block in blocks
        for name, weight in codes_of(block).items()
    )


def _stored(paths: Mapping[int, Path]) -> CodesOf:
    return lambda block: read_codes(paths[block])
