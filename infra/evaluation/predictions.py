"""Answers on the disk as soon as they are given: each is computed once, whatever kills the run.

    FOLDER/SHARD.jsonl  {"key": "9f…", "index": 7, "prediction": "No", "tokens": 1, "capped": false}

A key is the digest of all that decides an answer: weights, engine and its settings, the text and
the picture.  So new weights under an old path never get old answers, and a run that was killed goes
on where it was.  Workers write a file each and read those of all.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import CorruptLogError, EngineError, LogInUseError, UnansweredError
from infra.evaluation.engine import Answer, Engine, Request
from infra.files import Json, canonical_json, explaining, make_folder, sync

SUFFIX = ".jsonl"


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    key: str
    index: int
    prediction: str
    tokens: int
    capped: bool

    def answer(self) -> Answer:
        return Answer(self.index, self.prediction, self.tokens, self.capped)


class Progress(NamedTuple):
    """How far the answering of a benchmark is, in questions."""

    total: int
    reused: int  # were on record
    computed: int  # by this call, so far


class Answered(NamedTuple):
    """Every question's answer, and where it came from."""

    answers: dict[int, Answer]  # by index
    computed: int
    reused: int  # the others: on record before, or of equal text and picture


def answer_key(
    weights_digest: str, identity: Mapping[str, str | int], text: str, image_sha256: str
) -> str:
    """Return the digest of all that decides an answer, in 64 hexadecimal digits."""
    parts: Json = {
        "weights": weights_digest,
        "engine": dict(identity),
        "text": text,
        "image": image_sha256,
    }
    return hashlib.sha256(canonical_json(parts)).hexdigest()


def answer_keys(
    weights_digest: str, identity: Mapping[str, str | int], requests: Sequence[Request]
) -> dict[int, str]:
    """Return the key of every request by its index; each picture is hashed once."""
    images = {request.image: "" for request in requests}
    for image in images:
        images[image] = hashlib.sha256(image).hexdigest()
    return {
        request.index: answer_key(weights_digest, identity, request.text, images[request.image])
        for request in requests
    }


class PredictionLog:
    """The answers on record in a folder, and the file to which new ones are added.

    `open_log` makes one.
    """

    def __init__(self, file: IO[bytes], path: Path, known: dict[str, Answer]) -> None:
        self._file = file
        self._path = path
        self._known = known

    def find(self, key: str) -> Answer | None:
        """Return the answer that is on record under exactly this key, in any file."""
        return self._known.get(key)

    def append(self, answers: Mapping[str, Answer]) -> None:
        """Put answers on record by their keys; on return they are on the disk.

        A key that is on record already keeps its answer.

        Raises:
            StorageError: They cannot be written; then none of them is on record.
        """
        new = {key: answer for key, answer in answers.items() if key not in self._known}
        data = b"".join(_line(key, answer) for key, answer in new.items())
        size = os.fstat(self._file.fileno()).st_size
        with explaining(self._path, "writing"):
            try:
                _write_whole(self._file, data)
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(size)
                raise
        self._known |= new


@contextmanager
def open_log(folder: Path, shard: str = "answers") -> Iterator[PredictionLog]:
    """Open the answers of a folder, to read those of all files and to write ``shard``'s.

    What a killed writer left of a last line is cut off.

    Args:
        folder: Made where it is missing.
        shard: Name of the file to write, without its suffix.

    Raises:
        LogInUseError: Another process is writing this shard.
        CorruptLogError: A line of a file is damaged.
        StorageError: The folder cannot be read or written.
    """
    make_folder(folder)
    path = folder / f"{shard}{SUFFIX}"
    with explaining(path, "opening"):
        file = path.open("ab", buffering=0)
    with file:
        _lock(file, path)
        with explaining(path, "reading"):
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                file.truncate(whole)
            sync(folder)
        yield PredictionLog(file, path, read_answers(folder))


def read_answers(folder: Path) -> dict[str, Answer]:
    """Return the answers of all files of a folder by their keys.

    A last line without an end is one that is being written, or that nobody finished: it is left
    out.

    Raises:
        CorruptLogError: A line is damaged, or answers what a line before it did.
        StorageError: A file cannot be read.
    """
    known: dict[str, Answer] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        known = _read(path) | known
    return known


def answer_all(
    engine: Engine,
    requests: Sequence[Request],
    keys: Mapping[int, str],
    log: PredictionLog,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Answered:
    """Answer every request, asking the engine only for what is not on record.

    Args:
        engine: What answers.
        requests: Questions with different indices.
        keys: Each request's key by its index (`answer_keys`).
        log: Answers on record; new ones are added batch by batch.
        progress: Called at the start and after each batch.

    Raises:
        EngineError: Two requests have the same index, or the engine cannot answer.
        UnansweredError: The engine left something out, or answered what was not asked.
        StorageError: Answers cannot be written.
    """
    if len({request.index for request in requests}) < len(requests):
        raise EngineError(
            "Two questions have the same index, so that their answers could not be told apart. "
            "Ask for one benchmark at a time, and give each of its rows an index of its own."
        )
    missing: dict[str, Request] = {}
    for request in requests:
        if log.find(key := keys[request.index]) is None:
            missing.setdefault(key, request)
    pending = {request.index: key for key, request in missing.items()}
    on_record = sum(keys[request.index] not in missing for request in requests)
    progress(Progress(len(requests), on_record, 0))
    for batch in engine.answer(tuple(missing.values())) if missing else ():
        _record(batch, pending, log)
        progress(Progress(len(requests), on_record, len(missing) - len(pending)))
    if pending:
        raise _unanswered(f"left {len(pending)} questions without an answer", sorted(pending))
    return Answered(
        {request.index: _on_record(log, keys, request) for request in requests},
        computed=len(missing),
        reused=len(requests) - len(missing),
    )


def _record(batch: Sequence[Answer], pending: dict[int, str], log: PredictionLog) -> None:
    strange = [answer.index for answer in batch if answer.index not in pending]
    if strange:
        raise _unanswered(f"answered {len(strange)} questions that are not open", strange)
    log.append({pending[answer.index]: answer for answer in batch})
    for answer in batch:
        del pending[answer.index]


def _on_record(log: PredictionLog, keys: Mapping[int, str], request: Request) -> Answer:
    answer = log.find(keys[request.index])
    assert answer is not None  # noqa: S101 - each was found before, or appended
    return replace(answer, index=request.index)


def _unanswered(what: str, indices: Sequence[int]) -> UnansweredError:
    return UnansweredError(
        f"The engine {what} (indices {', '.join(map(str, indices[:5]))}"
        f"{', …' if len(indices) > 5 else ''}). Answers so far are kept. "  # noqa: PLR2004
        "This is a fault of the engine: run again, or choose another one."
    )


def _line(key: str, answer: Answer) -> bytes:
    line = {
        "key": key,
        "index": answer.index,
        "prediction": answer.text,
        "tokens": answer.tokens,
        "capped": answer.capped,
    }
    # half a character, which no tokenizer gives, would make a line that nobody can read
    return json.dumps(line, ensure_ascii=False).encode(errors="replace") + b"\n"


def _write_whole(file: IO[bytes], data: bytes) -> None:
    """Write all of ``data``: a disk that is nearly full takes a part without complaint."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _lock(file: IO[bytes], path: Path) -> None:
    """Take the file for this process alone; the lock dies with the process."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LogInUseError(
            f"Another process is writing {path}, so two would compute the same answers. Wait for "
            "it or stop it, or give each worker a shard of its own."
        ) from error


def _read(path: Path) -> dict[str, Answer]:
    with explaining(path, "reading"):
        data = path.read_bytes()
    known: dict[str, Answer] = {}
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            parsed = _Line.model_validate_json(line)
        except ValidationError as error:
            raise _corrupt(path, number, f"is damaged ({error.errors()[0]['msg']})") from error
        if parsed.key in known:
            raise _corrupt(path, number, f"answers {parsed.key} a second time")
        known[parsed.key] = parsed.answer()
    return known


def _corrupt(path: Path, number: int, what: str) -> CorruptLogError:
    return CorruptLogError(
        f"Line {number} of {path} {what}. Check the disk and take the line out: its question will "
        "be asked again, and all other answers are kept."
    )
