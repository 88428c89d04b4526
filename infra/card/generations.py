"""Pictures and questions for the sample answers of a card: one of each benchmark, the first."""

import hashlib
import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from infra.evaluation.engine import Request
from infra.evaluation.prompts import prompt
from infra.evaluation.question import Table

_ENDINGS = {"JPEG": "jpg", "TIFF": "tif"}


class Asked(NamedTuple):
    """One question, with the picture as it is published."""

    benchmark: str
    row: int  # its index there
    picture: str  # its path in the repository
    request: Request

    @property
    def sha256(self) -> str:
        """Digest of the picture."""
        return hashlib.sha256(self.request.image).hexdigest()


def choose(tables: Sequence[Table]) -> tuple[Asked, ...]:
    """Return the first question of each table about a picture that no other table has shown.

    Args:
        tables: Benchmarks, read with their pictures.
    """
    seen: set[str] = set()
    chosen: list[Asked] = []
    for table in tables:
        question = next((each for each in table.questions if each.image not in seen), None)
        if question is None:
            continue
        seen.add(question.image)
        number = len(chosen) + 1
        image = table.images[question.image]
        request = Request(number, image, prompt(question, table.benchmark.kind))
        path = f"samples/{number}.{_ending(image)}"
        chosen.append(Asked(table.benchmark.name, question.index, path, request))
    return tuple(chosen)


def _ending(image: bytes) -> str:
    """Return what the file of a picture ends in; its table was read, so it is a whole one."""
    with Image.open(io.BytesIO(image)) as picture:
        form = str(picture.format)
    return _ENDINGS.get(form, form.lower())
