"""Let one model answer one shard of the benchmarks; whatever is on record is not asked again.

Two things keep an evaluation from being repeated.  Each answer is on the disk as soon as it is
given, so a killed task goes on where it was.  And a finished shard is in the artifact store under
the fingerprint of all that decides it, so another machine, or another run with the same 16-bit
model, takes it without loading the model at all.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from prefect import task
from prefect.cache_policies import NO_CACHE

from infra.errors import CorruptArtifactError, MissingArtifactError
from infra.evaluation.answerlines import as_lines
from infra.evaluation.predictions import Progress, answer_all, answer_keys, open_log
from infra.evaluation.shards import in_shard
from infra.files import Json
from infra.models.finding import present
from infra.store import Store, fingerprint, open_store
from tasks.asking import generation, open_table, requests
from tasks.bars import answers_moving
from tasks.engine import place_of, torch_threads
from tasks.evalspecs import AnswersRef, BenchmarksSpec, Subject, TableRef
from tasks.policies import LOCK_BACKOFF, somebody_else_answers
from tasks.progress import AnswerEvent, emit_answers
from tasks.specs import ComputeSpec, WorkPlan
from tasks.subjects import OpenSubject, open_subject
from tasks.versions import version_of

NOT_OF_THE_ANSWERS = {
    "names", "source", "rules", "shards", "parallel", "batch_size", "limit", "fidelity_prompts",
}  # fmt: skip
"""Settings that change no answer, or that the questions themselves tell."""

RUNS_ON = ("torch", "transformers")
"""Packages whose versions may move an answer; vLLM's own moves those that it gives."""


class Shard(WorkPlan):
    """What one task answers: a model, and its part of every benchmark."""

    subject: Subject
    tables: tuple[TableRef, ...]
    asked: BenchmarksSpec
    compute: ComputeSpec
    number: int  # from 0

    @property
    def title(self) -> str:
        """What the task is called."""
        part = f", part {self.number + 1} of {self.asked.shards}" if self.asked.shards > 1 else ""
        return f"{self.subject.name}: answer the benchmarks{part}"


@task(
    name="answer-benchmarks",
    task_run_name="{shard.title}",
    retries=len(LOCK_BACKOFF),
    retry_delay_seconds=LOCK_BACKOFF,
    retry_condition_fn=somebody_else_answers,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def answer_benchmarks(shard: Shard) -> tuple[AnswersRef, ...]:
    """Answer the shard's questions of every benchmark, one reference each.

    Raises:
        EngineError: The model cannot be asked.
        PredictionLogError: A file of answers cannot be used.
        InfraError: The model's files or a table cannot be read.
    """
    bar = answers_moving(shard.title, shard.subject.name, shard.tables, shard.asked.limit)
    with torch_threads(shard.compute.threads), bar:
        worker = _Worker(shard, open_store(shard.place))
        return tuple(worker.answers(table) for table in shard.tables)


@dataclass(slots=True)
class _Worker:
    """One shard in work; the model is loaded when the first question is open."""

    shard: Shard
    store: Store
    opened: OpenSubject | None = None

    def answers(self, ref: TableRef) -> AnswersRef:
        """Return the answers to one table: those in the store, or new ones."""
        key = _fingerprint(self.shard, ref)
        return self._finished(key) or self._ask(key, ref)

    def _finished(self, key: str) -> AnswersRef | None:
        known = self.store.find(key)
        if known is None:
            return None
        made = AnswersRef.model_validate(known)
        try:
            self.store.open(made.ref)
        except (CorruptArtifactError, MissingArtifactError):
            return None  # computed again, from what is on record
        return made.found()

    def _ask(self, key: str, ref: TableRef) -> AnswersRef:
        started, shard, asked = time.perf_counter(), self.shard, self.shard.asked
        table = open_table(ref, images=True, limit=asked.limit)
        questions = in_shard(table.questions, shard.number, asked.shards)
        wanted = requests(table, questions, asked)
        folder = shard.place.local / "answers" / shard.subject.source.digest
        name = f"{ref.benchmark.name}-{shard.number + 1}-of-{asked.shards}"
        with open_log(folder, name) as log:  # first: who finds another run here loads no model
            self.opened = self.opened or open_subject(
                present(shard.subject.source, shard.place), asked, shard.compute
            )
            engine = self.opened.engine(generation(table, asked))
            keys = answer_keys(shard.subject.source.digest, engine.identity, wanted)
            told = answer_all(engine, wanted, keys, log, _teller(shard, ref, started))
        made = AnswersRef(
            benchmark=ref.benchmark.name,
            ref=self.store.put_bytes(as_lines(told.answers)),
            engine=dict(engine.identity),
            computed=told.computed,
            reused=told.reused,
            seconds=time.perf_counter() - started,
        )
        self.store.record(key, made.model_dump(mode="json"))
        return made


def _fingerprint(shard: Shard, table: TableRef) -> str:
    """Return what decides the answers to a table, and nothing else."""
    place, asked = place_of(shard.compute), shard.asked
    packages = (*RUNS_ON, "vllm") if asked.engine == "vllm" else RUNS_ON
    parts: dict[str, Json] = {
        "step": "answers",
        "model": shard.subject.source.digest,
        "table": table.sha256,
        "benchmark": table.benchmark.model_dump(mode="json", exclude={"url", "md5"}),
        "questions": [asked.limit, shard.number, asked.shards],
        "asked": asked.model_dump(mode="json", exclude=NOT_OF_THE_ANSWERS),
        "place": f"{place.device.type} {place.dtype}",
        "versions": [version_of(name) for name in packages],
    }
    return fingerprint(parts)


def _teller(shard: Shard, table: TableRef, started: float) -> Callable[[Progress], None]:
    """Return what tells whoever watches how far it is."""

    def tell(progress: Progress) -> None:
        seconds = time.perf_counter() - started
        emit_answers(
            AnswerEvent(shard.subject.name, table.benchmark.name, *progress, seconds=seconds)
        )

    return tell
