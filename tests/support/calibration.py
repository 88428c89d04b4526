"""Calibration inputs for tests: rows, pictures and the specs that ask for them."""

import io
import json
from pathlib import Path

from PIL import Image

from infra.calibration.rows import Row
from infra.calibration.spec import CalibrationSpec, Kind

SENTENCE = "The red circle is to the left of the blue square. "

Turn = dict[str, object]


def a_spec(
    source: Path | str, *, kind: Kind = "text", nsamples: int = 4, seqlen: int = 16, seed: int = 7
) -> CalibrationSpec:
    """Return a spec with the defaults that a person would leave alone."""
    return CalibrationSpec(
        name="set", kind=kind, source=str(source), nsamples=nsamples, seqlen=seqlen, seed=seed
    )


def write_lines(path: Path, rows: list[object]) -> Path:
    """Write rows as JSON Lines."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def write_documents(path: Path, count: int, *, sentences: int = 6) -> Path:
    """Write documents that differ in their first words."""
    return write_lines(path, [{"text": f"Page {n}. " + SENTENCE * sentences} for n in range(count)])


def picture(size: tuple[int, int] = (112, 112), *, shade: int = 200, form: str = "PNG") -> bytes:
    """Return the bytes of a picture file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, (shade, 40, 90)).save(file, form)
    return file.getvalue()


def chat(*texts: str) -> list[Turn]:
    """Return LLaVA turns: human, gpt, human, ..."""
    return [{"from": ("human", "gpt")[n % 2], "value": text} for n, text in enumerate(texts)]


def a_row(turns: object, *, image: object = None) -> Row:
    """Return a conversation row called "rows.json[3]"."""
    return Row("rows.json[3]", {"id": "3", "image": image, "conversations": turns})


def write_conversations(folder: Path, count: int, *, sentences: int = 3) -> Path:
    """Write a LLaVA file and its pictures, each of another colour, and return the file."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(count):
        name = f"{number:03d}.png"
        (folder / "images" / name).write_bytes(picture(shade=number))
        turns = chat(f"Picture {number}: what is it?\n<image>", SENTENCE * sentences, "Why?", "So.")
        rows.append({"id": str(number), "image": name, "conversations": turns})
    path = folder / "chats.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path
