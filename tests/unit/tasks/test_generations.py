"""Both models answer the same questions, one at a time, and what is known is not asked again."""

import shutil
from pathlib import Path

import pytest

from infra.evaluation.engine import Generation, Request
from infra.store import FolderStore, open_store
from tasks.asking import open_table
from tasks.generations import GenerationRequest, Generations, sample_generations
from tasks.subjects import open_subject
from tests.support.examining import NAMES, ON_CPU, asking, demo_tables, rounded, subject
from tests.support.places import place_at
from tests.support.runs import World


@pytest.fixture(scope="module")
def request_(world: World, tmp_path_factory: pytest.TempPathFactory) -> GenerationRequest:
    """Return what is asked: a 16-bit model, and the same in 2 bits, which says something else."""
    root = tmp_path_factory.mktemp("generations")
    tables = demo_tables(root / "tables")
    return GenerationRequest(
        baseline=subject("16bits", world.source.path),
        candidate=subject("int2", rounded(world.source.path, root / "out", bits=2)),
        tables=tables,
        asked=asking(root / "tables"),
        max_new_tokens=4,
        compute=ON_CPU,
        place=place_at(root / "store"),
    )


@pytest.fixture(scope="module")
def made(request_: GenerationRequest) -> Generations:
    """Return what both have answered."""
    return sample_generations.fn(request_)


def test_one_question_of_each_benchmark_is_answered_by_both(made: Generations) -> None:
    """With how it was decoded, and what was cut."""
    told = made.facts

    assert [each.benchmark for each in told.samples] == list(NAMES)
    assert (told.decoding, told.max_new_tokens) == ("greedy", 4)
    assert told.engine["mode"] == "one_by_one"
    assert all(each.int4_capped and each.full_capped for each in told.samples)
    assert [each.int4 for each in told.samples] != [each.full for each in told.samples]


def test_the_answers_are_those_of_the_models_files(
    request_: GenerationRequest, made: Generations
) -> None:
    """Asked here once more, of each model and of nothing else."""
    pictures = made.read(open_store(request_.place))
    asked = request_.asked.model_copy(update={"mode": "one_by_one"})
    for name, model in (("int4", request_.candidate), ("full", request_.baseline)):
        opened = open_subject(model.source, asked, ON_CPU)
        engine = opened.engine(Generation(max_new_tokens=4))
        for sample in made.facts.samples:
            question = Request(1, pictures[sample.picture], sample.question)
            ((answer,),) = engine.answer([question])
            assert answer.text == getattr(sample, name)


def test_the_pictures_are_the_tables_own(request_: GenerationRequest, made: Generations) -> None:
    """Byte for byte, so that a reader can look for them there."""
    pictures = made.read(open_store(request_.place))
    table = open_table(request_.tables[0], images=True, limit=None)

    assert set(pictures) == {each.picture for each in made.facts.samples}
    assert pictures[made.facts.samples[0].picture] == table.images[table.questions[0].image]


def test_what_was_answered_is_not_asked_again(
    request_: GenerationRequest, made: Generations, tmp_path: Path
) -> None:
    """Without either model's weights, the same facts and pictures."""
    assert made
    gone = {
        name: model.model_copy(
            update={"source": model.source.model_copy(update={"path": tmp_path / "gone"})}
        )
        for name, model in (("baseline", request_.baseline), ("candidate", request_.candidate))
    }

    assert sample_generations.fn(request_.model_copy(update=gone)) == made


def test_a_lost_picture_is_made_again(
    request_: GenerationRequest, made: Generations, tmp_path: Path
) -> None:
    """A card would show nothing in its place."""
    store = FolderStore(shutil.copytree(request_.place.workspace, tmp_path / "store"))
    store.open(next(iter(made.pictures.values()))).unlink()

    again = sample_generations.fn(request_.model_copy(update={"place": place_at(store.root)}))

    assert again == made
    assert len(again.read(store)) == len(NAMES)


@pytest.mark.parametrize("change", [{"max_new_tokens": 3}, {"candidate": "baseline"}], ids=str)
def test_another_question_is_asked_anew(
    request_: GenerationRequest, made: Generations, change: dict[str, object]
) -> None:
    """Other settings or another model make other answers."""
    other = {"candidate": request_.baseline} if "candidate" in change else change

    assert sample_generations.fn(request_.model_copy(update=other)).facts != made.facts
