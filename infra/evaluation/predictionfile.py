"""Answers that somebody recorded, one JSON object a line: `{"index": 7, "prediction": "B"}`.

Whoever made them: nothing but these two keys is needed.  `capped` is read where it is there, other
keys are not.  Nothing is mended or guessed, since each of these mistakes would change a score.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from infra.errors import BadPredictionError
from infra.files import explaining


class RecordedPredictions(NamedTuple):
    """What a file holds."""

    predictions: dict[int, str]  # by the index of the question
    capped: frozenset[int]  # those of which the file says that they were cut at the longest length


def read_predictions(path: Path) -> RecordedPredictions:
    """Read the predictions of a file.  Lines of spaces alone are passed over.

    Raises:
        BadPredictionError: A line is no prediction, or a second one of its question; the message
            names the line.
        StorageError: The file cannot be read.
    """
    with explaining(path, "reading"):
        data = path.read_bytes()
    predictions: dict[int, str] = {}
    line_of: dict[int, int] = {}
    capped = set()
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        place = f"line {number} of {path}"
        said = _parsed(line, place)
        index = _index(said, place)
        if index in line_of:
            raise BadPredictionError(
                f"Question {index} has a second prediction in {place}; the first is in line "
                f"{line_of[index]}. Keep the one that counts."
            )
        line_of[index] = number
        predictions[index] = _prediction(said, place)
        if said.get("capped") is True:
            capped.add(index)
    return RecordedPredictions(predictions, frozenset(capped))


def _parsed(line: bytes, place: str) -> dict[str, Any]:
    try:
        said = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise BadPredictionError(
            f"There is no JSON in {place}: {error}. A line is one JSON object in UTF-8, as in "
            '{"index": 7, "prediction": "B"}.'
        ) from error
    if not isinstance(said, dict):
        raise BadPredictionError(
            f"There is no JSON object in {place}, but {_shown(said)}. A line is one object, as in "
            '{"index": 7, "prediction": "B"}.'
        )
    return said


def _index(said: dict[str, Any], place: str) -> int:
    index = said.get("index")
    if isinstance(index, bool) or not isinstance(index, int):
        raise BadPredictionError(
            f"`index` is {_shown(index) if 'index' in said else 'missing'} in {place}. It is the "
            "index of the question in the benchmark's table, a whole number without quotes."
        )
    return index


def _prediction(said: dict[str, Any], place: str) -> str:
    prediction = said.get("prediction")
    if not isinstance(prediction, str):
        raise BadPredictionError(
            f"`prediction` is {_shown(prediction) if 'prediction' in said else 'missing'} in "
            f'{place}. It is the text that the model answered, in quotes; "" if it said nothing.'
        )
    try:
        prediction.encode()
    except UnicodeEncodeError as error:
        raise BadPredictionError(
            f"`prediction` has half a character in {place} ({error.reason}). Write characters "
            "beyond U+FFFF as they are, or as two escapes that belong together."
        ) from error
    return prediction


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}…"  # noqa: PLR2004 -- a line of a message
