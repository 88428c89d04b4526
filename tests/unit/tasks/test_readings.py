"""Every model foretells the same tokens: held-out text, and the 16-bit model's answers."""

import io
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, Qwen2VLForConditionalGeneration

from infra.evaluation.answerlines import as_lines
from infra.evaluation.engine import Answer
from infra.evaluation.prompts import prompt
from infra.evaluation.question import Question, Table
from infra.store import FolderStore
from quantcore.activations import Budget
from tasks.asking import open_table
from tasks.contest import Reading, Stored, compete
from tasks.engine import open_model
from tasks.evalspecs import AnswersRef, TableRef
from tasks.readings import answer_readings, spread, text_readings
from tests.support.examining import ON_CPU, asking, demo_tables
from tests.support.runs import World

SAID = (" Yes, there is.", "A", "", "It says \u201cstop\u201d.\n")


class Exam(NamedTuple):
    """A table, and what was answered to each of its questions."""

    ref: TableRef
    table: Table
    texts: dict[int, str]
    answers: tuple[AnswersRef, ...]
    store: FolderStore

    def readings(self, folder: Path, count: int, **changes: object) -> tuple[Reading, ...]:
        """Return questions with their answers, with pictures as they are in the table."""
        asked = asking(self.ref.path.parent, image_path="direct", **changes)
        return answer_readings(folder, self.ref, self.answers, asked, count, self.store)


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Exam:
    """Return eight yes/no questions, whose answers lie in two files."""
    root = tmp_path_factory.mktemp("exam")
    ref = demo_tables(root / "tables")[3]
    table = open_table(ref, images=True, limit=None)
    said = {q.index: SAID[number % len(SAID)] for number, q in enumerate(table.questions)}
    store = FolderStore(root / "store")
    parts = [{i: Answer(i, said[i], 1, capped=False) for i in said if i % 2 == n} for n in (0, 1)]
    refs = tuple(
        AnswersRef(
            benchmark=ref.benchmark.name,
            ref=store.put_bytes(as_lines(part)),
            engine={},
            computed=len(part),
            reused=0,
            seconds=1.0,
        )
        for part in parts
    )
    return Exam(ref, table, said, refs, store)


def through_transformers(folder: Path, exam: Exam, question: Question) -> tuple[dict, int]:
    """Lay out a question and its answer by the model's own processor, from text to pixels.

    Returns:
        What the model takes, and how many tokens come before the answer.
    """
    processor = AutoProcessor.from_pretrained(folder)
    text = prompt(question, "yes_no")
    turn = [{"type": "image"}, {"type": "text", "text": text}]
    asked = processor.apply_chat_template(
        [{"role": "user", "content": turn}], tokenize=False, add_generation_prompt=True
    )
    picture = Image.open(io.BytesIO(exam.table.images[question.image])).convert("RGB")
    whole, alone = (
        processor(text=[each], images=[picture], return_tensors="pt")
        for each in (asked + exam.texts[question.index] + "<|im_end|>", asked)
    )
    return dict(whole), alone["input_ids"].shape[1]


def test_text_counts_but_for_its_first_token(world: World) -> None:
    """Nothing comes before that one, from which it could be foretold."""
    readings = text_readings(FolderStore(world.store), world.texts.ref)

    assert len(readings) == 12
    assert {reading.first for reading in readings} == {1}
    assert {len(reading.sample.input_ids) for reading in readings} == {32}


def test_a_question_is_read_with_its_answer_and_its_end(world: World, exam: Exam) -> None:
    """The tokens, the places of the picture and its pixels are those of transformers' processor."""
    folder = world.source.path
    readings = exam.readings(folder, 8)

    assert len(readings) == len(exam.table.questions) == 8
    for reading, question in zip(readings, exam.table.questions, strict=True):
        expected, before = through_transformers(folder, exam, question)
        assert reading.sample.input_ids.tolist() == expected["input_ids"][0].tolist()
        assert reading.first == before
        assert torch.equal(reading.sample.mm_token_type_ids, expected["mm_token_type_ids"][0])
        assert torch.equal(reading.sample.pixel_values, expected["pixel_values"])
        assert torch.equal(reading.sample.image_grid_thw, expected["image_grid_thw"])


@torch.no_grad()
def test_counted_predictions_are_those_of_the_whole_model(
    world: World, exam: Exam, tmp_path: Path
) -> None:
    """At the last token of the prompt and along the answer: transformers' model, with the image."""
    folder = world.source.path
    readings = exam.readings(folder, 8)
    source = open_model(folder, ON_CPU)
    budget = Budget(bytes=2**30, scratch=tmp_path)
    outcome = dict(compete(source, {"x": Stored(source)}, readings, budget))["x"]
    model = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()

    for question, found in zip(exam.table.questions, outcome.samples, strict=True):
        inputs, before = through_transformers(folder, exam, question)
        told = torch.log_softmax(model(**inputs).logits[0, before - 1 : -1].double(), dim=-1)
        following = inputs["input_ids"][0, before:, None]
        expected = -told.gather(1, following)[:, 0]
        assert torch.allclose(found.nll_reference_T, expected, rtol=1e-5, atol=1e-5)


def test_what_counts_is_the_answer_and_its_end(world: World, exam: Exam) -> None:
    """Of an empty answer, its end alone."""
    tokenizer = AutoProcessor.from_pretrained(world.source.path).tokenizer

    for reading, question in zip(
        exam.readings(world.source.path, 8), exam.table.questions, strict=True
    ):
        counted = reading.sample.input_ids[reading.first :].tolist()
        assert tokenizer.decode(counted) == exam.texts[question.index] + "<|im_end|>"


def test_pictures_take_the_path_that_the_engine_took(world: World, exam: Exam) -> None:
    """Saved as JPEG once more, they are not the same pixels."""
    asked = asking(exam.ref.path.parent)
    folder = world.source.path

    resaved = answer_readings(folder, exam.ref, exam.answers, asked, 1, exam.store)[0].sample
    direct = exam.readings(folder, 1)[0].sample

    assert asked.image_path == "vlmevalkit"
    assert torch.equal(resaved.input_ids, direct.input_ids)
    assert not torch.equal(resaved.pixel_values, direct.pixel_values)


@pytest.mark.parametrize(
    ("count", "places"),
    [
        (0, []),
        (1, [0]),
        (3, [0, 2, 5]),
        (4, [0, 2, 4, 6]),
        (8, list(range(8))),
        (9, list(range(8))),
    ],
)
def test_questions_are_spread_over_the_table(exam: Exam, count: int, places: list[int]) -> None:
    """Not the first so many: tables are sorted by category."""
    questions = exam.table.questions

    assert spread(questions, count) == tuple(questions[place] for place in places)


def test_questions_are_those_that_were_asked(world: World, exam: Exam) -> None:
    """With a limit, they are spread below it, and no other answer is looked for."""
    folder = world.source.path
    few = {i: Answer(i, text, 1, capped=False) for i, text in exam.texts.items() if i < 4}
    ref = exam.answers[0].model_copy(update={"ref": exam.store.put_bytes(as_lines(few))})

    some = exam._replace(answers=(ref,)).readings(folder, 2, limit=4)

    every = exam.readings(folder, 8)
    ids = [reading.sample.input_ids.tolist() for reading in (*some, every[0], every[2])]
    assert (ids[0], ids[1]) == (ids[2], ids[3])


def test_no_questions_are_no_readings(world: World, exam: Exam) -> None:
    """Nobody has to want any."""
    assert exam.readings(world.source.path, 0) == ()
