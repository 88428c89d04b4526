"""One question of each benchmark, the first, and no picture twice."""

import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image

from infra.card.generations import choose
from infra.evaluation.benchmark import Benchmark
from infra.evaluation.question import Question, Table


def picture(form: str, ink: str) -> bytes:
    """Return a small picture's file."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), ink).save(file, form)
    return file.getvalue()


RED, BLUE = picture("PNG", "red"), picture("JPEG", "blue")


def a_question(index: int, image: str) -> Question:
    """Return a question about a picture."""
    return Question(
        index=index, text=f"What is {index}?", hint=None, options=(), answer="A", answers=(),
        categories=(), l2_category=None, split=None, image=image,
    )  # fmt: skip


def a_table(name: str, images: dict[str, bytes], *asked: str) -> Table:
    """Return a table that asks about these pictures, from index 10 on."""
    questions = tuple(a_question(10 + place, image) for place, image in enumerate(asked))
    benchmark = Benchmark(name=name, kind="vqa")
    return Table(benchmark, questions, images, "0" * 64, rows=len(asked), dropped=0)


IMAGES = {"red": RED, "blue": BLUE}


def test_the_first_question_of_each_table_is_chosen() -> None:
    """As it is put to the model, with the picture's own bytes."""
    one, two = a_table("One", IMAGES, "red", "blue"), a_table("Two", IMAGES, "blue")

    chosen = choose([one, two])

    assert [(each.benchmark, each.row, each.picture) for each in chosen] == [
        ("One", 10, "samples/1.png"),
        ("Two", 10, "samples/2.jpg"),
    ]
    assert chosen[0].request.text.startswith("What is 10?\nPlease try to answer")
    assert chosen[0].request.image == RED
    assert chosen[1].sha256 == hashlib.sha256(BLUE).hexdigest()


def test_a_picture_that_was_shown_is_not_shown_again() -> None:
    """The next question about another one is asked instead."""
    chosen = choose([a_table("One", IMAGES, "red"), a_table("Two", IMAGES, "red", "blue")])

    assert [each.row for each in chosen] == [10, 11]


def test_a_table_without_another_picture_is_left_out() -> None:
    """Numbers of the files go on without a gap."""
    tables = [
        a_table("One", IMAGES, "red"),
        a_table("Two", IMAGES, "red"),
        a_table("Three", IMAGES, "blue"),
    ]

    assert [(each.benchmark, each.picture) for each in choose(tables)] == [
        ("One", "samples/1.png"),
        ("Three", "samples/2.jpg"),
    ]


@pytest.mark.parametrize(
    ("form", "ending"),
    [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"), ("GIF", "gif"), ("TIFF", "tif")],
)
def test_a_picture_keeps_its_form(form: str, ending: str) -> None:
    """Its bytes are published as they are, so its name must say what they are."""
    (chosen,) = choose([a_table("One", {"x": picture(form, "red")}, "x")])

    assert Path(chosen.picture).name == f"1.{ending}"
