"""A file of predictions answers like a model."""

from pathlib import Path

import pytest

from infra.errors import BadPredictionError, MissingPredictionsError, StorageError
from infra.evaluation.engine import Answer
from infra.evaluation.recorded import open_recorded
from tests.support.answering import requests
from tests.support.asking import answers


def test_predictions_come_back_by_index(tmp_path: Path) -> None:
    """Only what is asked for, whatever the order and number of lines."""
    path = tmp_path / "said.jsonl"
    path.write_text(
        '{"index": 2, "prediction": " C\\n", "capped": true}\n'
        '{"index": 0, "prediction": "A"}\n'
        '{"index": 1, "prediction": ""}\n'
        '{"index": 9, "prediction": "B"}\n'
    )

    assert answers(open_recorded(path), requests(3)) == [
        Answer(0, "A", 0, capped=False),
        Answer(1, "", 0, capped=False),
        Answer(2, " C\n", 0, capped=True),
    ]


def test_missing_rows_are_named(tmp_path: Path) -> None:
    """A score over the others would be another number."""
    path = tmp_path / "said.jsonl"
    path.write_text('{"index": 1, "prediction": "A"}\n')

    with pytest.raises(MissingPredictionsError, match=r"2 of 3 questions \(the first: 0, 2\)"):
        answers(open_recorded(path), requests(3))


def test_another_file_is_another_engine(tmp_path: Path) -> None:
    """The identity is the file's content, wherever it lies."""
    for name, said in (("a", "A"), ("b", "A"), ("c", "C")):
        (tmp_path / name).write_text(f'{{"index": 1, "prediction": "{said}"}}\n')
    one, same, other = (open_recorded(tmp_path / name).identity for name in "abc")

    assert one == same
    assert one != other
    assert one["engine"] == "recorded"


def test_a_bad_file_is_refused_at_once(tmp_path: Path) -> None:
    """With the line, or the path."""
    (tmp_path / "bad.jsonl").write_text("A\n")

    with pytest.raises(BadPredictionError, match="line 1"):
        open_recorded(tmp_path / "bad.jsonl")
    with pytest.raises(StorageError):
        open_recorded(tmp_path / "nowhere.jsonl")
