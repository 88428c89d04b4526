"""Open what is examined: a model from its own files, in the precision that all of them run in.

The checkpoint under test is the exported folder and never what is in memory, so what is scored is
what will be published.  Our reader takes packed words apart; on request the folder is given to
transformers as a client gives it, with whatever kernels are installed there.
"""

import json
import threading
from dataclasses import dataclass
from pathlib import Path

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE
from torch import nn

from infra.errors import MissingEngineError, UnloadableCheckpointError
from infra.evaluation.engine import Engine, Generation
from infra.evaluation.tokenizers import require_same_tokenizer
from infra.evaluation.transformers_engine import TransformersEngine
from infra.evaluation.vllm_engine import Vllm, VllmEngine, load_vllm
from infra.models.finding import open_tensors
from infra.models.loading import Loaded, load, load_as_client
from infra.models.source import ModelSource, read_config
from infra.models.tensors import Tensors
from tasks.engine import place_of
from tasks.evalspecs import BenchmarksSpec, Subject
from tasks.reader import open_export
from tasks.specs import ComputeSpec

_ONE_AT_A_TIME = threading.Lock()  # transformers sets torch's default dtype while it loads


@task(
    name="check-tokenizers",
    task_run_name="check that all models are asked the same",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def check_tokenizers(baseline: Subject | None, candidates: tuple[Subject, ...]) -> None:
    """Refuse a checkpoint that makes other tokens of a prompt than its baseline.

    Raises:
        TokenizerDiffersError: They differ; the message says in what.
        ProcessorError: A folder has no tokenizer or processor that can be used.
    """
    if baseline is not None:
        for candidate in candidates:
            require_same_tokenizer(baseline.source.path, candidate.source.path)


def is_quantized(folder: Path) -> bool:
    """Whether a folder's config.json tells of packed weights."""
    return bool(read_config(folder).get("quantization_config"))


def learned_nothing(folder: Path) -> bool:
    """Whether a checkpoint tells of itself that it was rounded to nearest."""
    try:
        told = json.loads((folder / "roundhouse.json").read_bytes())
        return bool(told["provenance"]["recipe"]["quantization"]["iters"] == 0)
    except (OSError, ValueError, TypeError, KeyError):
        return False  # somebody else's, or a 16-bit model


def tensors_of(source: ModelSource) -> Tensors:
    """Open a model's tensors under their 16-bit names, packed or not."""
    index = open_tensors(source)
    return open_export(source.path, index) if is_quantized(source.path) else index


@dataclass(frozen=True, slots=True)
class OpenSubject:
    """A model in memory, ready to answer."""

    folder: Path
    asked: BenchmarksSpec
    model: nn.Module | Vllm

    def engine(self, generation: Generation) -> Engine:
        """Return what answers with these settings; the weights are loaded once for all."""
        if isinstance(self.model, Vllm):
            return VllmEngine(self.model, self.folder, generation)
        return TransformersEngine(self.model, self.folder, generation, mode=self.asked.mode)


def open_subject(source: ModelSource, asked: BenchmarksSpec, compute: ComputeSpec) -> OpenSubject:
    """Load a model that is present on this machine whole, ready to answer.

    Raises:
        MissingEngineError: What should run it is not installed, or reads no buckets.
        UnloadableCheckpointError: Its tensors are not those that its model has.
        InfraError: Its files cannot be read.
    """
    folder = source.path
    if asked.engine == "vllm" or asked.loader == "client":
        _require_files(source)
    if asked.engine == "vllm":
        return OpenSubject(folder, asked, load_vllm(folder))
    place = place_of(compute)
    load_it = _load_as_client if asked.loader == "client" else _load_own
    with _ONE_AT_A_TIME:
        loaded = load_it(source, place.device.type, place.dtype)
    if wrong := (*loaded.keys.missing, *loaded.keys.mismatched):
        raise UnloadableCheckpointError(
            f"{folder} does not hold its model: {len(wrong)} tensors are missing or of another "
            f"shape, {wrong[0]} first. `roundhouse inspect {folder}` tells more; export it again."
        )
    return OpenSubject(folder, asked, loaded.model)


def _require_files(source: ModelSource) -> None:
    if source.weights is not None:
        raise MissingEngineError(
            f"{source.weights.uri} can only be streamed, and clients read files of this machine. "
            "Leave the engine at 'transformers' and the loader at 'own', or name a folder that "
            "has a copy."
        )


def _load_own(source: ModelSource, device: str, dtype: torch.dtype) -> Loaded:
    tensors = tensors_of(source)
    weights = {name: tensors.load(name).to(dtype) for name in tensors.names}
    return load(source.path, weights, device=device, dtype=dtype)


def _load_as_client(source: ModelSource, device: str, dtype: torch.dtype) -> Loaded:
    try:
        return load_as_client(source.path, device=device, dtype=dtype)
    except ImportError as error:
        raise MissingEngineError(
            f"{source.path} cannot be loaded as a client loads it: {' '.join(str(error).split())} "
            "Install what reads its format (auto_round: auto-round; auto_gptq: optimum and "
            "gptqmodel), or leave the loader at 'own'."
        ) from error
