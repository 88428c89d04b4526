"""Answers that somebody recorded, in the place of a model's: whoever made them, they count."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from infra.errors import MissingPredictionsError
from infra.evaluation.engine import Answer, Request
from infra.evaluation.predictionfile import RecordedPredictions, read_predictions
from infra.files import explaining, sha256_of


class RecordedEngine:
    """An `Engine` that repeats a file; `open_recorded` makes one.

    How many tokens an answer had is not in such files: it says 0.
    """

    def __init__(self, recorded: RecordedPredictions, path: Path, sha256: str) -> None:
        self._recorded = recorded
        self._path = path
        self._sha256 = sha256

    @property
    def identity(self) -> Mapping[str, str | int]:
        """The file is all that decides its answers."""
        return {"engine": "recorded", "sha256": self._sha256}

    def answer(self, requests: Sequence[Request]) -> Iterator[Sequence[Answer]]:
        """Yield all answers at once, by the index of the question alone.

        Raises:
            MissingPredictionsError: The file does not answer every question.
        """
        said, capped = self._recorded
        missing = [request.index for request in requests if request.index not in said]
        if missing:
            raise MissingPredictionsError(
                f"{self._path} has no prediction for {len(missing)} of {len(requests)} questions "
                f"(the first: {', '.join(map(str, missing[:5]))}). A score over the others would "
                "be another number; record the missing answers, too."
            )
        yield [
            Answer(request.index, said[request.index], 0, request.index in capped)
            for request in requests
        ]


def open_recorded(path: Path) -> RecordedEngine:
    """Open a file of predictions, `{"index": 7, "prediction": "B"}` a line.

    Raises:
        BadPredictionError: A line is no prediction, or a second one of its question.
        StorageError: The file cannot be read.
    """
    recorded = read_predictions(path)
    with explaining(path, "reading"):
        return RecordedEngine(recorded, path, sha256_of(path))
