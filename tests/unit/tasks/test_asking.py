"""Every model is asked the same: the same questions, pictures and settings, in the same order."""

from pathlib import Path

import pytest

from infra.demo.benchmarks import BenchmarkSizes
from infra.evaluation.benchmark import Benchmark
from infra.evaluation.engine import Generation
from infra.evaluation.images import as_asked
from infra.evaluation.question import Table
from infra.evaluation.table import read_table
from tasks.asking import cut, generation, open_table, requests
from tasks.evalspecs import TableRef
from tasks.tables import look_at
from tests.support.examining import asking, demo_tables
from tests.support.tables import MCQ, choices, encoded, write_table

MILLION = 10**6


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TableRef]:
    """Return the demo benchmarks; the circular one has questions with two to four options."""
    sizes = BenchmarkSizes(circular_groups=6, science=3, reading=2, presence=9)
    tables = demo_tables(tmp_path_factory.mktemp("tables"), sizes)
    return {table.benchmark.name: table for table in tables}


def circular_table(path: Path, indices: list[int]) -> Table:
    """Return a circular table whose rows have these indices, in this order."""
    row = choices(1)[0]
    rows = [{**row, "index": str(index), "image": encoded(index % MILLION)} for index in indices]
    circular = Benchmark(name="Turned", kind="mcq", circular=True, cluster="group")
    return read_table(write_table(path, rows), circular)


def test_all_questions_are_asked_without_a_limit(demo: dict[str, TableRef]) -> None:
    """The table as it is counted when it was found."""
    for ref in demo.values():
        assert len(open_table(ref, images=False, limit=None).questions) == ref.questions


def test_a_limit_takes_the_first_rows(demo: dict[str, TableRef]) -> None:
    """In the order of the file; a limit beyond its end takes all."""
    pope = open_table(demo["POPE"], images=False, limit=None).questions

    assert open_table(demo["POPE"], images=False, limit=5).questions == pope[:5]
    assert open_table(demo["POPE"], images=False, limit=500).questions == pope


def test_a_limit_keeps_all_rotations_of_a_question(demo: dict[str, TableRef]) -> None:
    """A question that counts only as a whole is asked as a whole, wherever its rows stand."""
    ref = demo["MMBench_DEV_EN_V11"]
    whole = open_table(ref, images=False, limit=None).questions

    some = open_table(ref, images=False, limit=3).questions

    assert [each.index for each in some] == [each.index for each in whole if each.group < 3]
    assert {each.group for each in some} == {0, 1, 2}
    assert len(some) > 3


def test_groups_are_counted_in_the_order_of_the_file(tmp_path: Path) -> None:
    """A question whose rotation comes first is there with it, and not another one for it."""
    order = [7 + MILLION, 3, 5, 7, 3 + MILLION]
    table = circular_table(tmp_path / "Turned.tsv", order)

    kept = {limit: [each.index for each in cut(table, limit).questions] for limit in (1, 2, 3)}

    assert kept == {1: [7 + MILLION, 7], 2: [7 + MILLION, 3, 7, 3 + MILLION], 3: order}


def test_rows_that_count_alone_are_cut_alone(tmp_path: Path) -> None:
    """The same rows in a benchmark that is not circular are just rows."""
    table = circular_table(tmp_path / "Turned.tsv", [7 + MILLION, 3, 7])
    ref = look_at(tmp_path / "Turned.tsv", MCQ)

    assert [q.index for q in open_table(ref, images=False, limit=2).questions] == [7 + MILLION, 3]
    assert len(cut(table, 2).questions) == 3


def test_a_request_is_index_picture_and_prompt(tmp_path: Path) -> None:
    """In the order of the questions, with the words that VLMEvalKit puts to Qwen2-VL."""
    table = read_table(write_table(tmp_path / "Choices.tsv", choices(2)), MCQ)
    backwards = table.questions[::-1]

    asked = requests(table, backwards, asking(tmp_path, image_path="direct"))

    assert [each.index for each in asked] == [1, 0]
    assert [each.image for each in asked] == [table.images[q.image] for q in backwards]
    assert asked[0].text == (
        "Question: What is 1?\nOptions:\nA. a cat\nB. a dog\n"
        "Please select the correct answer from the options above."
    )


@pytest.mark.parametrize("image_path", ["vlmevalkit", "direct"])
def test_a_picture_is_one_object_for_all_its_questions(
    demo: dict[str, TableRef], image_path: str
) -> None:
    """So that engines see at once that they are equal; and it is what the image path makes it."""
    table = open_table(demo["POPE"], images=True, limit=None)
    asked = asking(demo["POPE"].path.parent, image_path=image_path)

    made = requests(table, table.questions, asked)

    assert len({id(each.image) for each in made}) == len({q.image for q in table.questions}) == 3
    for request, question in zip(made, table.questions, strict=True):
        assert request.image == as_asked(table.images[question.image], asked.image_path)
        assert (request.image == table.images[question.image]) is (image_path == "direct")


def test_answers_are_generated_as_the_benchmark_and_the_recipe_say(
    demo: dict[str, TableRef], tmp_path: Path
) -> None:
    """Pixels from the benchmark, the rest from what is asked for."""
    plain = read_table(write_table(tmp_path / "Choices.tsv", choices(1)), MCQ)
    pope = open_table(demo["POPE"], images=False, limit=None)
    asked = asking(tmp_path, max_new_tokens=7, batch_size=5)

    assert generation(plain, asked) == Generation(max_new_tokens=7, batch_size=5)
    assert generation(pope, asked) == Generation(
        max_new_tokens=7, min_pixels=1003520, max_pixels=12845056, batch_size=5
    )
