"""Models in memory, and questions to put to them."""

import io
import json
import random
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.evaluation.catalog import known
from infra.evaluation.engine import Answer, Engine, Request
from infra.evaluation.images import as_asked
from infra.evaluation.prompts import prompt
from infra.evaluation.table import read_table
from infra.models.loading import load
from infra.models.tensors import TensorIndex

SIZES = ((112, 112), (56, 140), (200, 60), (112, 84), (30, 30))
SENTENCE = "Is there a red circle to the left of the blue square in the picture, or a star"
WORDS = SENTENCE.split()


def open_whole(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """Load a model as engines get it."""
    tensors = TensorIndex.open(folder)
    weights = {name: tensors.load(name).to(dtype) for name in tensors.names}
    return load(folder, weights, device="cpu", dtype=dtype).model


def photo(size: tuple[int, int], seed: int = 0, form: str = "PNG") -> bytes:
    """Return a picture file in which no two pixels are alike."""
    noise = random.Random(seed).randbytes(size[0] * size[1] * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", size, noise).save(file, form)
    return file.getvalue()


def questions(pictures: int, *, most: int = 4) -> tuple[Request, ...]:
    """Return one to ``most`` questions about each picture, of all sizes and lengths, mixed up."""
    draw = random.Random(1)
    images = [photo(SIZES[number % len(SIZES)], number) for number in range(pictures)]
    asked = [image for number, image in enumerate(images) for _ in range(1 + number % most)]
    draw.shuffle(asked)
    return tuple(
        Request(index, image, " ".join(draw.choices(WORDS, k=draw.randint(1, 12))) + "?")
        for index, image in enumerate(asked)
    )


def demo_questions(folder: Path, sizes: BenchmarkSizes) -> dict[str, tuple[Request, ...]]:
    """Write the demo benchmarks, and return what is asked by their names."""
    found = {}
    for name, path in write_benchmarks(folder, seed=5, sizes=sizes).items():
        table = read_table(path, known()[name])
        images = {key: as_asked(data, "vlmevalkit") for key, data in table.images.items()}
        kind = table.benchmark.kind
        found[name] = tuple(
            Request(each.index, images[each.image], prompt(each, kind)) for each in table.questions
        )
    return found


def answers(engine: Engine, asked: Sequence[Request]) -> list[Answer]:
    """Return what an engine answers, by index."""
    said: Iterable[Answer] = (answer for batch in engine.answer(asked) for answer in batch)
    return sorted(said, key=lambda answer: answer.index)


def with_stop(model: Path, folder: Path, eos: object) -> Path:
    """Copy a model folder whose generation_config.json names other ends of an answer."""
    shutil.copytree(model, folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": eos}))
    return folder
