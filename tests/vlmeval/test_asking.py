"""Models are asked what VLMEvalKit asks them: the same text, and the same picture."""

import base64
import hashlib
import io
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from infra.evaluation.benchmark import Benchmark, Kind
from infra.evaluation.images import as_asked
from infra.evaluation.prompts import prompt
from infra.evaluation.table import read_table
from tests.support.tables import write_table
from tests.vlmeval.conftest import Oracle

WORDS = (
    "a cat", " two spaces ", "狗", 'the "left" side', "line\nbreak", "tab\tstop", "5", "x = y",
    "猫と犬", "What's this?", "A.", "№ 7", "trailing. ",
)  # fmt: skip
MODES = ("RGB", "RGB", "RGBA", "L", "P", "1")  # it cannot save others as PNG


def picture(rng: Random) -> str:
    """Return a picture in base64: noise of some mode, size and format."""
    mode = rng.choice(MODES)
    size = (rng.randint(28, 90), rng.randint(28, 90))
    image = Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1])).convert(mode)
    form = rng.choice(("PNG", "JPEG")) if mode in ("RGB", "L") else "PNG"
    file = io.BytesIO()
    image.save(file, form)
    return base64.b64encode(file.getvalue()).decode()


def rows(kind: Kind, rng: Random) -> list[dict[str, str]]:
    """Make rows, a third of which have the picture of an earlier one, and some none."""
    made = []
    for index in range(120):
        row = {"index": str(index), "image": picture(rng), "question": rng.choice(WORDS)}
        if index > 10 and rng.random() < 0.3:
            row["image"] = str(rng.randrange(10))
        elif index > 10 and rng.random() < 0.1:
            row["image"] = ""
        if kind == "mcq":
            row["hint"] = rng.choice(("", "", *WORDS))
            row |= {letter: rng.choice(("", *WORDS)) for letter in "ABCD"}
            row["B"] = rng.choice(WORDS)
        made.append(row | {"answer": {"mcq": "B", "yes_no": "Yes", "vqa": "['a']"}[kind]})
    return made


@pytest.mark.parametrize("kind", ["mcq", "yes_no", "vqa"])
def test_rows_are_asked_alike(kind: Kind, tmp_path: Path, packaged: Oracle) -> None:
    """Which rows, with which text; pictures as they were saved then, and as they are now."""
    path = write_table(tmp_path / "local.tsv", rows(kind, Random(7)))
    table = read_table(path, Benchmark(name="local", kind=kind))

    theirs = packaged("asked", {"kind": kind, "table": str(path)})

    assert table.dropped > 3
    assert [str(question.index) for question in table.questions] == [row["index"] for row in theirs]
    assert [prompt(question, kind) for question in table.questions] == [
        row["text"] for row in theirs
    ]
    for question, row in zip(table.questions, theirs, strict=True):
        data = table.images[question.image]
        assert hashlib.sha256(as_asked(data, "vlmevalkit")).hexdigest() == row["jpeg"]
        direct = Image.open(io.BytesIO(as_asked(data, "direct"))).convert("RGB")
        assert hashlib.sha256(direct.tobytes()).hexdigest() == row["pixels"]
