"""Rows from files: every kind is read, and what is broken is named with its place."""

import hashlib
import json
from pathlib import Path

import pytest
from datasets import Dataset, Features, Image, List, Value

from infra.calibration.local import open_local
from infra.calibration.report import SourceFile
from infra.calibration.rows import RowSet
from infra.errors import BadRowError, CalibrationSourceError, EncodingError, MalformedRowError
from tests.support.calibration import a_spec, chat, picture, write_documents, write_lines


def opened(path: Path) -> RowSet:
    """Open a path as a text set."""
    return open_local(a_spec(path))


def texts(rows: RowSet) -> list[tuple[str, object]]:
    """Return name and text of every row."""
    return [(row.id, row.values["text"]) for row in (rows.row(n) for n in range(len(rows)))]


def test_json_lines_are_named_by_their_line(tmp_path: Path) -> None:
    """Blank lines, a byte-order mark and Windows line ends are read over, and lines keep count."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "one"}\r\n\r\n{"text": "tw\xc3\xb6"}\n"three"')

    assert texts(opened(path)) == [
        ("a.jsonl:1", "one"),
        ("a.jsonl:3", "twö"),
        ("a.jsonl:4", "three"),
    ]


def test_a_line_separator_within_a_text_does_not_end_the_row(tmp_path: Path) -> None:
    """U+2028 and U+0085 may stand in JSON as they are; only a newline ends a line."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one\u2028two\u0085"}\n', encoding="utf-8")

    assert texts(opened(path)) == [("a.jsonl:1", "one\u2028two\u0085")]


def test_a_json_list_of_objects_or_strings_is_read(tmp_path: Path) -> None:
    """Rows of a list are named by their index; a string is its text column."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"text": "one"}, "two"], indent=2), encoding="utf-8")

    assert texts(opened(path)) == [("a.json[0]", "one"), ("a.json[1]", "two")]


def test_json_lines_named_json_are_read(tmp_path: Path) -> None:
    """Many sets on the Hub hold JSON Lines under the name .json."""
    path = write_lines(tmp_path / "a.json", [{"text": "one"}, {"text": "two"}])

    assert texts(opened(path)) == [("a.json:1", "one"), ("a.json:2", "two")]


def test_parquet_is_read(tmp_path: Path) -> None:
    """Columns and rows of a parquet file come as they are."""
    path = tmp_path / "a.parquet"
    Dataset.from_dict({"text": ["one", "two"], "id": [1, 2]}).to_parquet(path)

    assert texts(opened(path)) == [("a.parquet[0]", "one"), ("a.parquet[1]", "two")]


def test_conversations_and_pictures_in_parquet_stay_as_stored(tmp_path: Path) -> None:
    """Turns are a list of mappings; a picture inside the set is not decoded before it is chosen."""
    turns = List({"from": Value("string"), "value": Value("string")})
    features = Features({"image": Image(), "conversations": turns})
    rows = {"image": [{"bytes": picture(), "path": None}], "conversations": [chat("Q", "A")]}
    path = tmp_path / "a.parquet"
    Dataset.from_dict(rows, features=features).to_parquet(path)

    values = opened(path).row(0).values

    assert {"bytes": picture(), "path": None} == values["image"]
    assert chat("Q", "A") == values["conversations"]


def test_plain_text_is_one_running_row(tmp_path: Path) -> None:
    """A .txt file marks no documents."""
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo\n", encoding="utf-8")

    row = opened(path).row(0)

    assert row == ("a.txt", {"text": "one\n\ntwo\n"}, True)


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    """Files of one kind are read, hidden ones and other kinds of file are not."""
    write_lines(tmp_path / "b.jsonl", ["two"])
    write_lines(tmp_path / "a.jsonl", ["one"])
    write_lines(tmp_path / ".c.jsonl", ["hidden"])
    (tmp_path / "LICENSE").write_text("free", encoding="utf-8")

    rows = opened(tmp_path)

    assert texts(rows) == [("a.jsonl:1", "one"), ("b.jsonl:1", "two")]
    assert tmp_path.name == rows.origin.source


def test_patterns_choose_the_files(tmp_path: Path) -> None:
    """`data_files` picks from a folder of several kinds, and from folders below it."""
    (tmp_path / "deep").mkdir()
    write_lines(tmp_path / "deep" / "a.jsonl", ["one"])
    write_lines(tmp_path / "b.json", ["two"])
    spec = a_spec(tmp_path).model_copy(update={"data_files": ("deep/*.jsonl",)})

    assert texts(open_local(spec)) == [("deep/a.jsonl:1", "one")]


def test_the_origin_holds_names_sizes_and_digests(tmp_path: Path) -> None:
    """The files can be recognised anywhere; where they lay on this machine is not told."""
    path = write_documents(tmp_path / "a.jsonl", 3)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    origin = opened(path).origin

    assert (origin.where, origin.source, origin.revision) == ("local", "a.jsonl", None)
    assert (SourceFile(name="a.jsonl", bytes=path.stat().st_size, sha256=digest),) == origin.files
    assert str(tmp_path) not in origin.model_dump_json()


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt"])
@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_is_named_with_its_size(tmp_path: Path, name: str, content: str) -> None:
    """An empty set is not a set of no samples but a mistake."""
    (tmp_path / name).write_text(content, encoding="utf-8")

    with pytest.raises(CalibrationSourceError, match=rf"{name} holds no rows \({len(content)} b"):
        opened(tmp_path / name)


def test_an_empty_parquet_file_cannot_be_read(tmp_path: Path) -> None:
    """What `datasets` says about a broken file comes with the file's name."""
    (tmp_path / "a.parquet").touch()

    with pytest.raises(
        CalibrationSourceError, match=r"a\.parquet \(parquet files\) cannot be read"
    ):
        opened(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt"])
def test_a_wrong_encoding_is_named_with_byte_and_line(tmp_path: Path, name: str) -> None:
    """Latin-1 text: the first byte that is not UTF-8, its offset from the start, and its line."""
    path = tmp_path / name
    path.write_bytes('"one"\n"tw\u00f6"\n'.encode("latin-1"))

    with pytest.raises(EncodingError, match=r"byte 0xf6 at offset 9, line 2.*iconv -f LATIN1"):
        opened(path)


def test_utf16_is_recognised(tmp_path: Path) -> None:
    """A text that an editor saved as UTF-16 gets the right command to convert it."""
    path = tmp_path / "a.txt"
    path.write_text("one", encoding="utf-16")

    with pytest.raises(EncodingError, match=r"offset 0, line 1.*iconv -f UTF-16"):
        opened(path)


def test_offsets_count_the_byte_order_mark(tmp_path: Path) -> None:
    """The offset is that in the file, which an editor or xxd shows."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\xff")

    with pytest.raises(EncodingError, match="byte 0xff at offset 6"):
        opened(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "tw', r"a\.jsonl:2 is not JSON: Unterminated string.* at column 10"),
        ('{"text": "two"} {}', r"a\.jsonl:2 is not JSON: Extra data at column 17"),
        ("[" * 100_000, r"a\.jsonl:2 cannot be read as JSON"),
        ("9" * 5000, r"a\.jsonl:2 cannot be read as JSON"),
        ("[1, 2]", r"a\.jsonl:2 is a JSON list"),
        ("null", r"a\.jsonl:2 is a JSON NoneType"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    """It is found at once, whether or not the seed would have drawn it."""
    path = tmp_path / "a.jsonl"
    path.write_text(f'"one"\n{line}\n"three"\n', encoding="utf-8")

    with pytest.raises(MalformedRowError, match=message):
        opened(path)


def test_a_malformed_line_can_be_left_to_be_counted(tmp_path: Path) -> None:
    """With skip_bad_rows the file opens, and only that row fails when it is visited."""
    path = tmp_path / "a.jsonl"
    path.write_text('"one"\n{\n"three"\n', encoding="utf-8")

    rows = open_local(a_spec(path).model_copy(update={"skip_bad_rows": True}))

    assert (len(rows), rows.row(2).values["text"]) == (3, "three")
    with pytest.raises(BadRowError, match=r"a\.jsonl:2 is not JSON"):
        rows.row(1)


def test_a_broken_list_is_named_with_its_line(tmp_path: Path) -> None:
    """A JSON list that was cut short cannot be read in part."""
    path = tmp_path / "a.json"
    path.write_text('[\n "one",\n "two"', encoding="utf-8")

    with pytest.raises(CalibrationSourceError, match=r"a\.json begins as a JSON list.*line 3"):
        opened(path)


def test_a_list_element_that_is_no_row_is_named(tmp_path: Path) -> None:
    """Elements of a list are checked as lines are."""
    path = tmp_path / "a.json"
    path.write_text('["one", 2]', encoding="utf-8")

    with pytest.raises(MalformedRowError, match=r"a\.json\[1\] is a JSON int"):
        opened(path)


def test_an_unknown_ending_lists_the_known(tmp_path: Path) -> None:
    """A spreadsheet is not guessed at."""
    (tmp_path / "a.xlsx").touch()

    with pytest.raises(
        CalibrationSourceError, match=r"'\.xlsx'.*\.json, \.jsonl, \.parquet, \.txt"
    ):
        opened(tmp_path / "a.xlsx")


def test_a_folder_of_several_kinds_is_refused(tmp_path: Path) -> None:
    """It is not clear which files are rows, and reading all would mix them."""
    write_lines(tmp_path / "a.jsonl", ["one"])
    (tmp_path / "notes.txt").write_text("two", encoding="utf-8")

    with pytest.raises(
        CalibrationSourceError, match=r"several kinds \(\.jsonl, \.txt\).*data_files"
    ):
        opened(tmp_path)


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    """A folder of pictures alone is not a set."""
    with pytest.raises(CalibrationSourceError, match="holds no file"):
        opened(tmp_path)


def test_patterns_that_match_nothing_are_named(tmp_path: Path) -> None:
    """A misspelled pattern is shown."""
    write_lines(tmp_path / "a.jsonl", ["one"])
    spec = a_spec(tmp_path).model_copy(update={"data_files": ("b*.jsonl",)})

    with pytest.raises(CalibrationSourceError, match=r"matches \['b\*\.jsonl'\]"):
        open_local(spec)


def test_a_revision_of_a_path_is_refused(tmp_path: Path) -> None:
    """A revision that is silently ignored would be recorded as if it meant something."""
    path = write_documents(tmp_path / "a.jsonl", 1)

    with pytest.raises(CalibrationSourceError, match=r"revision='main'.*a path has no revisions"):
        open_local(a_spec(path).model_copy(update={"revision": "main"}))


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    """The operating system's refusal comes with the file's name."""
    (tmp_path / "a.jsonl").mkdir()
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "b.jsonl")

    with pytest.raises(CalibrationSourceError, match=r"b\.jsonl cannot be read: Too many levels"):
        opened(tmp_path / "b.jsonl")
