"""Rows from files on this machine: JSON Lines, JSON, parquet, plain text, or a folder of one kind.

JSON is read here and not through `datasets`, because a person who wrote it by hand wants to be
told the line, the column and the byte; parquet has no lines, and `datasets` maps it into memory.
Every JSON file is parsed to its end before the first sample is drawn, so that whether a broken
line is found never depends on the seed.
"""

import codecs
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from infra.calibration.hub import frame_table, load_frame
from infra.calibration.report import Origin, SourceFile
from infra.calibration.rows import Row, RowSet, Table
from infra.calibration.spec import CalibrationSpec
from infra.errors import CalibrationSourceError, EncodingError, MalformedRowError
from infra.files import sha256_of

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def open_local(spec: CalibrationSpec) -> RowSet:
    """Open the file or folder ``spec.source``.

    Returns:
        All rows of the files, in the order of the files' names.

    Raises:
        CalibrationSourceError: A revision is given, the folder holds no readable file or files
            of several kinds, or a file is empty or broken as a whole.
        EncodingError: A text file is not UTF-8.
        MalformedRowError: A row is not JSON, and `spec.skip_bad_rows` is off.
    """
    source = Path(spec.source).expanduser()
    if spec.revision is not None:
        raise CalibrationSourceError(
            f"revision={spec.revision!r} was given for {source}, which is a local path; a path has "
            "no revisions. Leave the revision out, or rename the path if a data set on the Hub "
            "of the same name is meant."
        )
    base = source if source.is_dir() else source.parent
    tables, files = [], []
    try:
        for path in _files(source, spec.data_files):
            name = path.relative_to(base).as_posix()
            tables.append(_open_file(path, name, spec))
            size, digest = path.stat().st_size, sha256_of(path)
            files.append(SourceFile(name=name, bytes=size, sha256=digest))
    except OSError as error:
        raise CalibrationSourceError(
            f"{error.filename or source} cannot be read: {error.strerror or error}. It must be a "
            "file or folder that this user may read."
        ) from error
    origin = Origin(where="local", source=source.resolve().name, files=tuple(files))
    return RowSet(tuple(tables), origin)


def _files(source: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Return the files to read: one, or those of a folder, which must be of one kind."""
    if not source.is_dir():
        return [source]
    found = {path for pattern in patterns or ("*",) for path in source.glob(pattern)}
    readable = sorted(
        path
        for path in found
        if path.suffix.lower() in _READERS and path.is_file() and not path.name.startswith(".")
    )
    kinds = sorted({path.suffix.lower() for path in readable})
    if not readable:
        raise CalibrationSourceError(
            f"The folder {source} holds no file {' or '.join(sorted(_READERS))}"
            f"{f' that matches {list(patterns)}' if patterns else ''}. Name the folder that "
            "does, or say which files to read with data_files."
        )
    if len(kinds) > 1:
        raise CalibrationSourceError(
            f"The folder {source} holds files of several kinds ({', '.join(kinds)}), so that it is "
            "not clear which are rows. Name one file, or say which to read with data_files, as in "
            f'["*{kinds[0]}"].'
        )
    return readable


def _open_file(path: Path, name: str, spec: CalibrationSpec) -> Table:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise CalibrationSourceError(
            f"{path} ends in {path.suffix!r}, which no reader here knows. Rows are read from "
            f"{', '.join(sorted(_READERS))}, or from a folder of such files."
        )
    table = reader(path, name, spec)
    if table.count == 0:
        raise CalibrationSourceError(
            f"{path} holds no rows ({path.stat().st_size} bytes). Check that it was written or "
            "downloaded to its end, or leave it out."
        )
    return table


def _decoded(path: Path) -> str:
    """Return a file's text without its byte-order mark.

    Raises:
        EncodingError: The file is not UTF-8.
    """
    data = path.read_bytes()
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        offset = error.start + (len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0)
        line = data.count(b"\n", 0, offset) + 1
        utf16 = data[:2] in _UTF16
        raise EncodingError(
            f"{path} is not UTF-8: byte 0x{data[offset]:02x} at offset {offset}, line {line} "
            f"({error.reason}). {'It begins as UTF-16 does. ' if utf16 else ''}Convert it, "
            f"as in: iconv -f {'UTF-16' if utf16 else 'LATIN1'} -t UTF-8 {path.name} > utf8.txt"
        ) from error


def _parsed(text: str, place: str, text_column: str) -> Row:
    """Parse one JSON row; a bare string stands for its text column.

    Raises:
        MalformedRowError: It is no JSON, or neither an object nor a string.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise MalformedRowError(
            f"{place} is not JSON: {error.msg} at column {error.pos + 1}. Repair the line (each "
            "row stands on one line), or set skip_bad_rows to leave such rows out and count them."
        ) from error
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, 10000 brackets
        raise MalformedRowError(f"{place} cannot be read as JSON: {error}. Repair it.") from error
    return _as_row(value, place, text_column)


def _as_row(value: object, place: str, text_column: str) -> Row:
    if isinstance(value, str):
        return Row(place, {text_column: value})
    if isinstance(value, Mapping):
        return Row(place, value)
    raise MalformedRowError(
        f"{place} is a JSON {type(value).__name__}; a row is an object of columns, or a string of "
        "text. Repair it, or set skip_bad_rows to leave such rows out and count them."
    )


def _read_lines(text: str, name: str, spec: CalibrationSpec) -> Table:
    numbered = [pair for pair in enumerate(text.split("\n"), 1) if pair[1].strip()]

    def fetch(index: int) -> Row:
        number, line = numbered[index]
        return _parsed(line, f"{name}:{number}", spec.text_column)

    return _checked(Table(len(numbered), fetch), spec)


def _read_array(text: str, name: str, spec: CalibrationSpec) -> Table:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CalibrationSourceError(
            f"{name} begins as a JSON list but is broken: {error}. Repair it there, or fetch the "
            "file again if it was cut short."
        ) from error

    def fetch(index: int) -> Row:
        return _as_row(values[index], f"{name}[{index}]", spec.text_column)

    return _checked(Table(len(values), fetch), spec)


def _checked(table: Table, spec: CalibrationSpec) -> Table:
    """Read every row once, so that a broken one is found whatever the seed."""
    if not spec.skip_bad_rows:
        for index in range(table.count):
            table.fetch(index)
    return table


def _read_json_lines(path: Path, name: str, spec: CalibrationSpec) -> Table:
    return _read_lines(_decoded(path), name, spec)


def _read_json(path: Path, name: str, spec: CalibrationSpec) -> Table:
    """Read a list of rows; many files named .json hold JSON Lines, and are read as such."""
    text = _decoded(path)
    reader = _read_array if text.lstrip().startswith("[") else _read_lines
    return reader(text, name, spec)


def _read_parquet(path: Path, name: str, _: CalibrationSpec) -> Table:
    return frame_table(load_frame("parquet", data_files=[str(path)]), name)


def _read_text(path: Path, name: str, spec: CalibrationSpec) -> Table:
    """Read running text: one row, of which every window may become a sample."""
    text = _decoded(path)
    row = Row(name, {spec.text_column: text}, running=True)
    return Table(0 if not text or text.isspace() else 1, partial(_same, row))


def _same(row: Row, _: int) -> Row:
    return row


_READERS: Mapping[str, Callable[[Path, str, CalibrationSpec], Table]] = {
    ".jsonl": _read_json_lines,
    ".json": _read_json,
    ".parquet": _read_parquet,
    ".txt": _read_text,
}

READABLE = frozenset(_READERS)
"""Endings of the files that rows are read from."""
