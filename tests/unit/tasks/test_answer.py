"""A question is asked once: what is in the store or on record is never computed again."""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from torch import Tensor

from infra.errors import InfraError, LogInUseError, NoWeightsError
from infra.evaluation.answerlines import read_lines
from infra.evaluation.engine import Answer
from infra.evaluation.predictions import open_log
from infra.evaluation.transformers_engine import TransformersEngine
from infra.store import FolderStore, open_store
from tasks.answer import Shard, answer_benchmarks
from tasks.asking import generation, open_table, requests
from tasks.evalspecs import AnswersRef, TableRef
from tasks.progress import LOGGER_NAME, AnswerEvent
from tasks.subjects import open_subject
from tests.support.asking import answers, open_whole
from tests.support.examining import ON_CPU, a_shard, demo_tables, rounded, subject
from tests.support.models import replaced, rewritten
from tests.support.places import place_at
from tests.support.runs import World

WEIGHTS = "model.safetensors"
Answers = dict[str, dict[int, Answer]]


class Answered(NamedTuple):
    """A model that has answered all benchmarks; copy before changing anything."""

    shard: Shard
    refs: tuple[AnswersRef, ...]

    def again(self, root: Path, **changes: Any) -> Shard:
        """Return the same shard with copies of the store and of the model's folder."""
        shutil.copytree(self.shard.place.workspace, root / "store")
        shutil.copytree(self.shard.subject.source.path, root / "model")
        return self.shard.model_copy(
            update={
                "subject": subject("again", root / "model"),
                "place": place_at(root / "store"),
                **changes,
            }
        )


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[TableRef, ...]:
    """Return the four demo benchmarks, a few rows each."""
    return demo_tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def answered(
    world: World, tables: tuple[TableRef, ...], tmp_path_factory: pytest.TempPathFactory
) -> Answered:
    """Return what the 16-bit model answers."""
    store = tmp_path_factory.mktemp("store")
    shard = a_shard(subject("16bits", world.source.path), tables, store)
    return Answered(shard, answer_benchmarks.fn(shard))


def said(shard: Shard, *parts: tuple[AnswersRef, ...]) -> Answers:
    """Return stored answers by benchmark."""
    store = open_store(shard.place)
    refs = [ref for part in parts for ref in part]
    return {
        name: read_lines([store.open(ref.ref) for ref in refs if ref.benchmark == name])
        for name in dict.fromkeys(ref.benchmark for ref in refs)
    }


def asked_of(model: Any, shard: Shard) -> Answers:
    """Ask a model in memory, without any of what keeps answers."""
    found = {}
    for ref in shard.tables:
        table = open_table(ref, images=True, limit=None)
        engine = TransformersEngine(
            model, shard.subject.source.path, generation(table, shard.asked), mode=shard.asked.mode
        )
        wanted = requests(table, table.questions, shard.asked)
        found[ref.benchmark.name] = {each.index: each for each in answers(engine, wanted)}
    return found


def computed(refs: tuple[AnswersRef, ...]) -> list[tuple[int, int]]:
    """Return how many answers of each benchmark were computed, and how many reused."""
    return [(ref.computed, ref.reused) for ref in refs]


def forget_finished(root: Path) -> None:
    """Remove from a store what tells of finished shards; answers stay on record."""
    shutil.rmtree(root / "manifests")


def records(shard: Shard) -> dict[str, list[str]]:
    """Return the lines of all files of answers of a model."""
    folder = shard.place.local / "answers" / shard.subject.source.digest
    return {path.name: path.read_text().splitlines() for path in sorted(folder.iterdir())}


class Listener(logging.Handler):
    """Calls a function with every event."""

    def __init__(self, hear: Callable[[AnswerEvent], None]) -> None:
        super().__init__()
        self.hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on the event."""
        self.hear(record.event)


@contextmanager
def listening(hear: Callable[[AnswerEvent], None]) -> Iterator[None]:
    """Call ``hear`` for every event of the block."""
    logger, listener = logging.getLogger(LOGGER_NAME), Listener(hear)
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)


def test_answers_are_those_of_the_model(world: World, answered: Answered) -> None:
    """Every question of every benchmark, as the engine answers it without the step around it."""
    shard = answered.shard

    assert said(shard, answered.refs) == asked_of(open_whole(world.source.path), shard)
    assert computed(answered.refs) == [(table.questions, 0) for table in shard.tables]
    assert [ref.benchmark for ref in answered.refs] == [t.benchmark.name for t in shard.tables]
    assert all(ref.seconds > 0 for ref in answered.refs)


def test_what_answered_is_told(answered: Answered) -> None:
    """With its settings, so that a reader can repeat it."""
    for ref in answered.refs:
        told = {key: ref.engine[key] for key in ("engine", "dtype", "mode", "max_new_tokens")}
        assert told == {
            "engine": "transformers",
            "dtype": "float32",
            "mode": "shared_prefix",
            "max_new_tokens": 3,
        }


def test_an_export_answers_with_its_own_weights(
    world: World, answered: Answered, tmp_path: Path
) -> None:
    """Those of its packed words, and they give other answers than the 16-bit model."""
    export = rounded(world.source.path, tmp_path / "out", bits=2)
    shard = a_shard(subject("pile", export), answered.shard.tables, tmp_path / "store")

    found = said(shard, answer_benchmarks.fn(shard))

    assert found == asked_of(open_subject(shard.subject.source, shard.asked, ON_CPU).model, shard)
    assert found != said(answered.shard, answered.refs)


def test_a_finished_shard_needs_no_model(answered: Answered, tmp_path: Path) -> None:
    """It is taken from the store although neither weights nor answers on record are left."""
    shard = answered.again(tmp_path)
    (shard.subject.source.path / WEIGHTS).unlink()
    shutil.rmtree(shard.place.local / "answers")

    found = answer_benchmarks.fn(shard)

    assert [ref.ref for ref in found] == [ref.ref for ref in answered.refs]
    assert computed(found) == [(0, table.questions) for table in shard.tables]
    assert {ref.seconds for ref in found} == {0}


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 1},
        {"parallel": 7},
        {"fidelity_prompts": 3},
        {"rules": "vlmevalkit-e8e78f05"},
        {"names": ("POPE",)},
        {"source": "s3://elsewhere"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_moves_no_answer_asks_nothing(
    answered: Answered, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Other rules, or another place of the tables: the answers are those that are there."""
    shard = answered.again(tmp_path)
    (shard.subject.source.path / WEIGHTS).unlink()
    asked = shard.asked.model_copy(update=changes)

    found = answer_benchmarks.fn(shard.model_copy(update={"asked": asked}))

    assert [ref.ref for ref in found] == [ref.ref for ref in answered.refs]


@pytest.mark.parametrize(
    "changes",
    [
        {"asked": {"max_new_tokens": 4}},
        {"asked": {"mode": "batched"}},
        {"asked": {"image_path": "direct"}},
        {"asked": {"loader": "client"}},
        {"asked": {"limit": 2}},
        {"compute": {"dtype": "bfloat16"}},
    ],
    ids=lambda changes: next(iter(next(iter(changes.values())))),
)
def test_what_may_move_an_answer_asks_again(
    answered: Answered, tmp_path: Path, changes: dict[str, dict[str, Any]]
) -> None:
    """Then the model is needed, which is no longer there."""
    shard = answered.again(tmp_path)
    (shard.subject.source.path / WEIGHTS).unlink()
    for field, values in changes.items():
        other = getattr(shard, field).model_copy(update=values)
        shard = shard.model_copy(update={field: other})

    with pytest.raises((InfraError, OSError), match=r"no file named|weights|safetensors"):
        answer_benchmarks.fn(shard)


def test_another_engine_is_no_excuse(answered: Answered, tmp_path: Path) -> None:
    """Answers of transformers are never given for those of vLLM, which is not installed here."""
    asked = answered.shard.asked.model_copy(update={"engine": "vllm"})

    with pytest.raises(InfraError, match="pip install vllm"):
        answer_benchmarks.fn(answered.again(tmp_path, asked=asked))


def test_another_table_asks_again(world: World, answered: Answered, tmp_path: Path) -> None:
    """A row was changed: its question alone is new, and the others are on record."""
    shard = answered.again(tmp_path)
    pope = shard.tables[3]
    lines = pope.path.read_text().splitlines()
    changed = [lines[0], lines[1].replace("Is there", "Was there"), *lines[2:]]
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "POPE.tsv").write_text("\n".join(changed) + "\n")
    sha256 = FolderStore(tmp_path).put_file(folder / "POPE.tsv").sha256
    table = pope.model_copy(update={"path": folder / "POPE.tsv", "sha256": sha256})

    found = answer_benchmarks.fn(shard.model_copy(update={"tables": (table,)}))

    assert lines != changed
    assert computed(found) == [(1, pope.questions - 1)]
    assert said(shard, found) == asked_of(
        open_whole(world.source.path), shard.model_copy(update={"tables": (table,)})
    )


def test_new_weights_under_an_old_path_get_new_answers(answered: Answered, tmp_path: Path) -> None:
    """What decides is what the files hold, and not where they are."""
    old = answered.again(tmp_path)
    folder = old.subject.source.path

    def turned(weight: Tensor) -> Tensor:
        return weight.flip(0)

    other = rewritten(folder, tmp_path / "other", weights=replaced("lm_head.weight", turned))
    (other / WEIGHTS).replace(folder / WEIGHTS)
    new = old.model_copy(update={"subject": subject("again", folder)})

    found = answer_benchmarks.fn(new)

    assert computed(found) == [(table.questions, 0) for table in new.tables]
    assert said(new, found) == asked_of(open_whole(folder), new)
    assert said(new, found) != said(old, answered.refs)
    assert said(old, answered.refs) == said(answered.shard, answered.refs)


def test_a_damaged_object_is_made_again_from_the_record(answered: Answered, tmp_path: Path) -> None:
    """No question is asked again, and the object is mended."""
    shard = answered.again(tmp_path)
    store = open_store(shard.place)
    damaged = store.open(answered.refs[1].ref)
    damaged.chmod(0o644)
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])

    found = answer_benchmarks.fn(shard)

    assert computed(found) == [(0, table.questions) for table in shard.tables]
    assert said(shard, found) == said(answered.shard, answered.refs)
    assert [ref.ref for ref in found] == [ref.ref for ref in answered.refs]
    assert found[1].seconds > 0 == found[0].seconds


def test_a_lost_object_is_made_again(answered: Answered, tmp_path: Path) -> None:
    """And is found at once by whoever comes next, without the model."""
    shard = answered.again(tmp_path)
    open_store(shard.place).open(answered.refs[0].ref).unlink()

    answer_benchmarks.fn(shard)
    (shard.subject.source.path / WEIGHTS).unlink()

    assert computed(answer_benchmarks.fn(shard)) == [(0, table.questions) for table in shard.tables]


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_a_killed_task_goes_on_where_it_was(answered: Answered, tmp_path: Path, kept: int) -> None:
    """What is on record is not asked again, and the end is the same to the byte."""
    shard = answered.again(tmp_path)
    forget_finished(shard.place.workspace)
    before = records(shard)
    log = shard.place.local / "answers" / shard.subject.source.digest / "POPE-1-of-1.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:kept]) + lines[kept][:20])

    found = answer_benchmarks.fn(shard)

    assert computed(found)[3] == (8 - kept, kept)
    assert [ref.ref for ref in found] == [ref.ref for ref in answered.refs]
    assert {name: sorted(each) for name, each in records(shard).items()} == {
        name: sorted(each) for name, each in before.items()
    }


def test_a_model_of_the_same_files_needs_no_answers_of_its_own(
    answered: Answered, tmp_path: Path
) -> None:
    """Wherever it lies and whatever it is called: the 16-bit model is asked once for all runs."""
    shard = answered.again(tmp_path)

    found = answer_benchmarks.fn(shard)

    assert shard.subject.source.path != answered.shard.subject.source.path
    assert computed(found) == [(0, table.questions) for table in shard.tables]


def test_shards_give_the_answers_of_one(answered: Answered, tmp_path: Path) -> None:
    """Each asks its own pictures; together they have asked everything, and nothing twice."""
    one = answered.shard
    parts = [
        a_shard(one.subject, one.tables, tmp_path / "store", shards=3, number=number)
        for number in range(3)
    ]

    found = [answer_benchmarks.fn(part) for part in parts]

    assert said(parts[0], *found) == said(one, answered.refs)
    counts = zip(*(computed(refs) for refs in found), strict=True)
    assert [sum(n for n, _ in each) for each in counts] == [t.questions for t in one.tables]
    assert all(set(refs[3].engine.items()) == set(found[0][3].engine.items()) for refs in found)


def test_another_number_of_shards_asks_nothing_again(answered: Answered, tmp_path: Path) -> None:
    """Workers read the records of all, so a run may go on with more of them."""
    whole = answered.again(tmp_path)
    asked = whole.asked.model_copy(update={"shards": 2})

    found = [
        answer_benchmarks.fn(whole.model_copy(update={"asked": asked, "number": number}))
        for number in (0, 1)
    ]

    assert {each for refs in found for each, _ in computed(refs)} == {0}
    assert said(whole, *found) == said(answered.shard, answered.refs)


def test_a_shard_may_have_nothing_to_ask(answered: Answered, tmp_path: Path) -> None:
    """Two pictures among twenty workers."""
    tables = answered.shard.tables[3:]
    found = [
        answer_benchmarks.fn(
            a_shard(answered.shard.subject, tables, tmp_path, shards=6, number=number)
        )
        for number in range(6)
    ]

    counts = [refs[0].computed for refs in found]
    assert (sum(counts), counts.count(0) >= 4) == (8, True)
    shard = answered.shard.model_copy(update={"place": place_at(tmp_path)})
    assert said(shard, *found)["POPE"] == said(answered.shard, answered.refs)["POPE"]


def test_a_limit_keeps_whole_questions(answered: Answered, tmp_path: Path) -> None:
    """All rotations of the first question; the first rows of what has none."""
    one = answered.shard
    shard = a_shard(one.subject, one.tables, tmp_path, limit=1)

    found = said(shard, answer_benchmarks.fn(shard))

    everything = said(one, answered.refs)
    first = {i for i in everything["MMBench_DEV_EN_V11"] if i % 10**6 == 0}
    assert len(first) > 1
    assert {name: set(each) for name, each in found.items()} == {
        "MMBench_DEV_EN_V11": first,
        "ScienceQA_VAL": {0},
        "TextVQA_VAL": {0},
        "POPE": {0},
    }
    for name, each in found.items():
        assert each == {index: everything[name][index] for index in each}


def test_a_second_run_neither_computes_nor_loads(answered: Answered, tmp_path: Path) -> None:
    """While another run has the questions it is told so at once; afterwards all is there.

    The policy of the step then waits (test_policies).  The second run comes while the first one is
    in the middle, and finds no weights: it must not even look for them.
    """
    shard = answered.again(tmp_path)
    shutil.rmtree(shard.place.workspace)
    weights = shard.subject.source.path / WEIGHTS
    heard: list[AnswerEvent] = []
    refused: list[str] = []

    def second_run(event: AnswerEvent) -> None:
        heard.append(event)
        if not weights.exists():
            return
        weights.rename(weights.with_suffix(".away"))
        with pytest.raises(LogInUseError, match="Another process is writing") as refusal:
            answer_benchmarks.fn(shard)
        refused.append(str(refusal.value))

    with listening(second_run):
        first = answer_benchmarks.fn(shard)
    afterwards = answer_benchmarks.fn(shard)

    assert len(refused) == 1
    assert "MMBench_DEV_EN_V11-1-of-1.jsonl" in refused[0]
    assert heard[0].computed == heard[0].reused == 0
    assert computed(first) == [(table.questions, 0) for table in shard.tables]
    assert computed(afterwards) == [(0, table.questions) for table in shard.tables]
    assert said(shard, first) == said(answered.shard, answered.refs)


def test_the_record_is_free_again_after_an_error(answered: Answered, tmp_path: Path) -> None:
    """A run that could not load its model is in nobody's way."""
    shard = answered.again(tmp_path)
    forget_finished(shard.place.workspace)
    weights = shard.subject.source.path / WEIGHTS
    weights.rename(weights.with_suffix(".away"))
    with pytest.raises(NoWeightsError):
        answer_benchmarks.fn(shard)
    weights.with_suffix(".away").rename(weights)

    with open_log(shard.place.local / "answers" / shard.subject.source.digest, "POPE-1-of-1"):
        pass

    assert computed(answer_benchmarks.fn(shard)) == [(0, t.questions) for t in shard.tables]


def test_progress_is_told(answered: Answered, tmp_path: Path) -> None:
    """From nothing to everything, by model and benchmark; what was on record is told apart."""
    shard = answered.again(tmp_path)
    forget_finished(shard.place.workspace)
    log = shard.place.local / "answers" / shard.subject.source.digest / "POPE-1-of-1.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:3]))
    heard: list[AnswerEvent] = []

    with listening(heard.append):
        answer_benchmarks.fn(shard)

    pope = [event for event in heard if event.benchmark == "POPE"]
    assert {(event.subject, event.total, event.reused) for event in pope} == {("again", 8, 3)}
    assert (pope[0].computed, pope[-1].computed) == (0, 5)
    assert sorted(pope, key=lambda event: event.seconds) == pope
    assert [event.computed for event in heard if event.benchmark == "TextVQA_VAL"] == [0]


def test_a_shard_is_titled_for_people(answered: Answered) -> None:
    """Parts are counted from 1, and told where there are several."""
    shard = answered.shard
    three = shard.asked.model_copy(update={"shards": 3})

    assert shard.title == "16bits: answer the benchmarks"
    assert shard.model_copy(update={"asked": three, "number": 1}).title == (
        "16bits: answer the benchmarks, part 2 of 3"
    )
    assert Shard.model_validate_json(shard.model_dump_json()) == shard
