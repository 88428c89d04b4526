"""Recorded predictions are read as they are, or refused with their line."""

from pathlib import Path

import pytest

from infra.errors import BadPredictionError, StorageError
from infra.evaluation.predictionfile import RecordedPredictions, read_predictions


def written(path: Path, data: bytes) -> Path:
    """Write a file."""
    path.write_bytes(data)
    return path


def test_two_keys_are_read_and_others_are_not_needed(tmp_path: Path) -> None:
    """Any order, lines of spaces, a byte order mark, and line separators within a text."""
    path = written(
        tmp_path / "said.jsonl",
        '\ufeff{"index": 7, "prediction": "B"}\r\n'
        '{"prediction": "", "index": 1000007, "tokens": 3, "capped": true}\n \n'
        '{"index": -1, "prediction": "a\u2028b\\nc", "capped": false}'.encode(),
    )

    assert read_predictions(path) == RecordedPredictions(
        {7: "B", 1000007: "", -1: "a\u2028b\nc"}, frozenset({1000007})
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"B", "no JSON in line 2"),
        (b'{"index": 1, "prediction": "B"', "no JSON in line 2"),
        (b'{"index": 1, "prediction": "\xff"}', "no JSON in line 2"),
        (b"[" * 100_000, "no JSON in line 2"),
        (b'[1, "B"]', "no JSON object in line 2"),
        (b'{"prediction": "B"}', "`index` is missing in line 2"),
        (b'{"index": "1", "prediction": "B"}', '`index` is "1" in line 2'),
        (b'{"index": 1.0, "prediction": "B"}', "`index` is 1.0 in line 2"),
        (b'{"index": true, "prediction": "B"}', "`index` is true in line 2"),
        (b'{"index": null, "prediction": "B"}', "`index` is null in line 2"),
        (b'{"index": 1}', "`prediction` is missing in line 2"),
        (b'{"index": 1, "prediction": null}', "`prediction` is null in line 2"),
        (b'{"index": 1, "prediction": 5}', "`prediction` is 5 in line 2"),
        (b'{"index": 1, "prediction": "\\ud83d"}', "half a character in line 2"),
        (b'{"index": 0, "prediction": "C"}', "second prediction in line 2"),
    ],
)
def test_a_bad_line_is_named(line: bytes, words: str, tmp_path: Path) -> None:
    """Nothing is mended, since each of these would change a score."""
    path = written(tmp_path / "said.jsonl", b'{"index": 0, "prediction": "B"}\n' + line)

    with pytest.raises(BadPredictionError) as caught:
        read_predictions(path)
    assert words in str(caught.value)
    assert "said.jsonl" in str(caught.value)


def test_a_second_prediction_names_both_lines(tmp_path: Path) -> None:
    """Which one counts is for its author to say."""
    line = b'{"index": 4, "prediction": "B"}\n'
    path = written(tmp_path / "said.jsonl", line + b"\n" + line)

    with pytest.raises(BadPredictionError, match=r"Question 4 .* line 3 of .* in line 1\."):
        read_predictions(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The path, and what was being done."""
    with pytest.raises(StorageError, match=r"reading .*nowhere\.jsonl"):
        read_predictions(tmp_path / "nowhere.jsonl")
