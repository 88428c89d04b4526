"""Let both models answer the same few questions, for people to compare with their own eyes.

The quantized model is read from the exported folder, and both answer one question at a time and
greedily, with the pixels that their own processor asks for: what a user's program does, too.
"""

from collections.abc import Mapping, Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from infra.card.facts import GenerationFacts, Sample
from infra.card.generations import Asked, choose
from infra.errors import CorruptArtifactError, MissingArtifactError
from infra.evaluation.engine import Answer, Generation
from infra.files import Json
from infra.store import ArtifactRef, Place, Store, fingerprint, open_store
from tasks.asking import open_table
from tasks.engine import place_of, torch_threads
from tasks.evalspecs import BenchmarksSpec, Subject, TableRef
from tasks.specs import ComputeSpec, Spec
from tasks.subjects import open_subject
from tasks.versions import version_of

RUNS_ON = ("torch", "transformers", "vllm")
"""Packages whose versions may move an answer."""


class GenerationRequest(Spec):
    """Which models answer, and what they are asked."""

    baseline: Subject = Field(description="The 16-bit model.")
    candidate: Subject = Field(description="The exported checkpoint.")
    tables: tuple[TableRef, ...] = Field(min_length=1, description="Benchmarks to ask from.")
    asked: BenchmarksSpec = Field(description="How the benchmarks are asked: engine and loader.")
    max_new_tokens: int = Field(default=128, ge=1, description="Longest answer.")
    compute: ComputeSpec = Field(description="Where, and with how much memory.")
    place: Place = Field(description="Where work is kept, and found again.")


class Generations(Spec):
    """The answers, and the pictures that they are about."""

    facts: GenerationFacts = Field(description="What was asked and answered, and how.")
    pictures: dict[str, ArtifactRef] = Field(description="By their path in the repository.")

    def read(self, store: Store) -> dict[str, bytes]:
        """Return the pictures' files by their path in the repository.

        Raises:
            StoreError: One is not in the store any more, or damaged.
            StorageError: One cannot be read.
        """
        return {path: store.open(ref).read_bytes() for path, ref in self.pictures.items()}


@task(
    name="sample-generations",
    task_run_name="{request.candidate.name}: answer a few questions beside the 16-bit model",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def sample_generations(request: GenerationRequest) -> Generations:
    """Return what both models answer to one question of each benchmark.

    Raises:
        EngineError: A model cannot be asked.
        InfraError: A model's files or a table cannot be read.
    """
    store = open_store(request.place)
    key = _fingerprint(request)
    known = store.find(key)
    if known is not None and _is_whole(found := Generations.model_validate(known), store):
        return found
    with torch_threads(request.compute.threads):
        made = _generate(request, store)
    store.record(key, made.model_dump(mode="json"))
    return made


def _generate(request: GenerationRequest, store: Store) -> Generations:
    tables = [open_table(each, images=True, limit=request.asked.limit) for each in request.tables]
    questions = choose(tables)
    full, _ = _answers(request, request.baseline, questions)
    int4, engine = _answers(request, request.candidate, questions)
    return Generations(
        facts=GenerationFacts(
            max_new_tokens=request.max_new_tokens,
            engine=dict(sorted(engine.items())),
            samples=tuple(
                _sample(each, int4[each.request.index], full[each.request.index])
                for each in questions
            ),
        ),
        pictures={each.picture: store.put_bytes(each.request.image) for each in questions},
    )


def _answers(
    request: GenerationRequest, subject: Subject, questions: Sequence[Asked]
) -> tuple[dict[int, Answer], Mapping[str, str | int]]:
    """Return one model's answers by their number, and what it answered with; the model is freed."""
    asked = request.asked.model_copy(update={"mode": "one_by_one"})
    opened = open_subject(subject.source, asked, request.compute)
    engine = opened.engine(Generation(max_new_tokens=request.max_new_tokens, batch_size=1))
    batches = engine.answer([each.request for each in questions])
    return {one.index: one for batch in batches for one in batch}, engine.identity


def _sample(asked: Asked, int4: Answer, full: Answer) -> Sample:
    return Sample(
        picture=asked.picture,
        sha256=asked.sha256,
        benchmark=asked.benchmark,
        index=asked.row,
        question=asked.request.text,
        int4=int4.text,
        int4_capped=int4.capped,
        full=full.text,
        full_capped=full.capped,
    )


def _fingerprint(request: GenerationRequest) -> str:
    """Return what decides the answers, and nothing else."""
    place, asked = place_of(request.compute), request.asked
    parts: dict[str, Json] = {
        "step": "generations",
        "models": [request.baseline.source.digest, request.candidate.source.digest],
        "tables": [
            [each.sha256, each.benchmark.model_dump(mode="json", exclude={"url", "md5"})]
            for each in request.tables
        ],
        "asked": [asked.engine, asked.loader, asked.limit, request.max_new_tokens],
        "place": f"{place.device.type} {place.dtype}",
        "versions": [version_of(name) for name in RUNS_ON],
    }
    return fingerprint(parts)


def _is_whole(found: Generations, store: Store) -> bool:
    """Whether all pictures are still in the store."""
    try:
        found.read(store)
    except (CorruptArtifactError, MissingArtifactError):
        return False
    return True
