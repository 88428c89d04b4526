"""Read each export back before anything else may use it.

Clients fail silently: a wrong name becomes random weights and a warning.  So the files themselves
are asked.  Do headers, papers and digests agree?  Do the packed words unpack to the codes that were
learned, and is every other tensor the source's?  Does transformers' own loader find every key, and
none too many?  Do a text and an image prompt, through the export's own tokenizer and processor,
give the logits of the engine's model?
"""

import math
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from prefect import task
from prefect.cache_policies import NO_CACHE
from torch import Tensor

from infra.calibration.conversations import Turn, encode, open_processor
from infra.calibration.images import Picture
from infra.calibration.sample import Sample
from infra.checkpoints import CheckpointReport, inspect
from infra.models.loading import keys_of, load, logits_of
from infra.models.source import ModelSource
from infra.store import Place, open_store
from quantcore.activations import Budget
from quantcore.grid import IntGrid
from tasks.codes import read_codes
from tasks.engine import OpenModel, budget_of, grid_of, open_source, torch_threads
from tasks.reader import GROUP_INDEX, ExportedTensors, open_export
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
    place: Place,
) -> VerifyReport:
    """Check every exported folder of a variant against the stored codes.

    Raises:
        InfraError: A folder cannot be read at all.
    """
    started = time.perf_counter()
    store, grid = open_store(place), grid_of(quantization)
    codes_of = _stored({record.block: store.open(record.ref) for record in records})
    with torch_threads(compute.threads), tempfile.TemporaryDirectory() as scratch:
        budget = budget_of(compute, Path(scratch), chains=1)
        engine = open_source(source, compute)
        prompts = verification_prompts(source.path)
        expected = list(stream_logits(engine, prompts, codes_of, budget))
        known: dict[frozenset[int], _Inside] = {}
        folders = {
            kind: _check(folder, grid, engine, _Look(codes_of, expected, budget, known))
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


class _Inside(NamedTuple):
    """What the tensors of a folder have shown."""

    codes_equal: bool
    text_logit_error: float | None
    image_logit_error: float | None
    changed: tuple[str, ...]


class _Look(NamedTuple):
    """What tensors are compared with, and what is known of files that were looked at."""

    codes_of: CodesOf
    expected: Sequence[Tensor]
    budget: Budget
    known: dict[frozenset[int], _Inside]


def _check(folder: Path, grid: IntGrid, engine: OpenModel, look: _Look) -> FolderChecks:
    """Check one folder: its papers, and where they let it be read, all that it holds."""
    papers = inspect(folder)
    other_grid = _other_grid(papers, grid)
    checks = FolderChecks(
        quantized_modules=papers.quantized_modules,
        expected_modules=len(_quantized(engine)),
        missing_keys=(),
        unexpected_keys=(),
        mismatched_keys=(),
        codes_equal=None,
        text_logit_error=None,
        image_logit_error=None,
        logit_tolerance=TOLERANCE[engine.place.dtype],
        faults=(*papers.problems, *other_grid),
    )
    if other_grid or not (papers.files_agree and papers.modules_agree):
        return checks
    tensors = open_export(folder)
    keys = keys_of(folder, {name: tensors.shape(name) for name in tensors.names})
    inside = _look_inside(folder, tensors, engine, look, sound=not keys.wrong)
    return checks.model_copy(
        update={
            "missing_keys": keys.missing,
            "unexpected_keys": keys.unexpected,
            "mismatched_keys": keys.mismatched,
            "codes_equal": inside.codes_equal,
            "text_logit_error": inside.text_logit_error,
            "image_logit_error": inside.image_logit_error,
            "faults": (*checks.faults, *inside.changed),
        }
    )


def _look_inside(
    folder: Path, tensors: ExportedTensors, engine: OpenModel, look: _Look, *, sound: bool
) -> _Inside:
    """Compare codes, other tensors and logits.

    Both formats share their files by hard links; the same files under a second name need no second
    look, as long as all keys are found.
    """
    files = _files_of(folder, tensors)
    if sound and files in look.known:
        return look.known[files]
    text, image = _logit_errors(folder, tensors, engine, look) if sound else (None, None)
    inside = _Inside(
        codes_equal=_codes_equal(tensors, range(engine.family.blocks), look.codes_of),
        text_logit_error=text,
        image_logit_error=image,
        changed=tuple(_changed(engine, tensors)),
    )
    if sound:
        look.known[files] = inside
    return inside


def _files_of(folder: Path, tensors: ExportedTensors) -> frozenset[int]:
    """Return the inodes of the files that hold what is compared: all but group indices."""
    names = (name for name in tensors.index.names if not name.endswith(f".{GROUP_INDEX}"))
    shards = {tensors.index.shard_of(name) for name in names}
    return frozenset((folder / shard).stat().st_ino for shard in shards)


def _logit_errors(
    folder: Path, tensors: ExportedTensors, engine: OpenModel, look: _Look
) -> tuple[float, float]:
    """Return the distances of both prompts' logits from the engine's own."""
    weights = sum(math.prod(tensors.shape(name)) for name in tensors.names)
    whole = weights * engine.place.dtype.itemsize
    run = _client_logits if whole <= WHOLE_MODEL_BYTES else _streamed_logits
    found = run(folder, OpenModel(tensors, engine.family, engine.place), look.budget)
    text, image = map(_distance, found, look.expected)
    return text, image


def _quantized(engine: OpenModel) -> frozenset[str]:
    """Return the source names of all weights that are quantized."""
    blocks = range(engine.family.blocks)
    return frozenset(name for block in blocks for name in engine.family.linears(block))


def _other_grid(look: CheckpointReport, grid: IntGrid) -> tuple[str, ...]:
    """Say so if config.json tells of another grid than the codes were learned for."""
    told = f"bits={look.bits}, group_size={look.group_size}, sym={look.sym}"
    learned = f"bits={grid.bits}, group_size={grid.group_size}, sym={grid.symmetric}"
    if told == learned:
        return ()
    return (f"config.json says {told}, but the codes were learned for {learned}",)


def _changed(engine: OpenModel, export: ExportedTensors) -> Iterator[str]:
    """Tell which tensors that stay in 16 bit are not the source's, byte for byte."""
    quantized = _quantized(engine)
    for name in engine.tensors.names:
        if name in export.index and name not in quantized:
            old, new = engine.tensors.load(name), export.load(name)
            same = (old.dtype, old.shape) == (new.dtype, new.shape)
            if not same or not torch.equal(_bytes(old), _bytes(new)):
                yield f"{name} is not the tensor of the source"


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1).view(torch.uint8)


def _client_logits(folder: Path, export: OpenModel, _budget: Budget) -> Iterator[Tensor]:
    """Yield the logits of transformers' own model, loaded whole."""
    place, tensors = export.place, export.tensors
    weights = {name: tensors.load(name).to(place.dtype) for name in tensors.names}
    client = load(folder, weights, device=place.device.type, dtype=place.dtype).model
    for prompt in verification_prompts(folder):
        yield logits_of(client, prompt)


def _streamed_logits(folder: Path, export: OpenModel, budget: Budget) -> Iterator[Tensor]:
    """Yield the logits of a model that is too large to be loaded whole."""
    return stream_logits(export, verification_prompts(folder), as_it_is, budget)


def _distance(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference of one prompt's logits, as a share of the largest logit."""
    if found.shape != expected.shape:
        return math.inf  # the export's tokenizer cuts the prompt otherwise
    return float((found.cpu() - expected.cpu()).abs().max() / expected.abs().max())


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
