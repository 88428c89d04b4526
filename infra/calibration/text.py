"""Documents to samples of exactly `seqlen` tokens.

A document gives one sample, its head, and a shorter one gives none: two documents are never glued
together, and nothing is padded.  Running text (a .txt file) has no documents in it, and gives a
sample for each window.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from infra.calibration.outcome import Drawn, Skipped
from infra.calibration.rows import Row, shuffled
from infra.calibration.sample import Sample
from infra.calibration.spec import CalibrationSpec
from infra.errors import BadTextError, MissingColumnError, ProcessorError


def open_tokenizer(model_dir: Path) -> Any:
    """Return the tokenizer of a model folder.

    Raises:
        ProcessorError: The folder holds none that works.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            model_dir, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        raise ProcessorError(
            f"The model folder {model_dir} has no tokenizer that can be loaded: {error}. Fetch "
            "the model again with its tokenizer files (tokenizer.json, tokenizer_config.json)."
        ) from error
    if tokenizer.vocab_size < 2:  # noqa: PLR2004 - an empty folder gives a tokenizer of one token
        raise ProcessorError(
            f"The model folder {model_dir} has a tokenizer without a vocabulary. Fetch the model "
            "again with its tokenizer files (tokenizer.json, or vocab.json and merges.txt)."
        )
    return tokenizer


def draw_text(row: Row, spec: CalibrationSpec, tokenizer: Any) -> list[Drawn] | Skipped:
    """Cut a row's text into its sample, or into its windows where it is running text.

    Special tokens that a text spells out are read as plain characters: text is data, and a
    document about chat formats must not end a turn or stand for a picture.

    Raises:
        MissingColumnError: The row has no column ``spec.text_column``.
        BadTextError: The column holds no text, or text that is not Unicode.
    """
    ids = tokenizer(text_of(row, spec.text_column), split_special_tokens=True, verbose=False)[
        "input_ids"
    ]
    count = len(ids) // spec.seqlen
    if count == 0:
        return Skipped("shorter_than_seqlen", len(ids))
    windows = shuffled(count, spec.seed) if row.running else [0]
    return [_window(row, ids, window * spec.seqlen, spec.seqlen) for window in windows]


def _window(row: Row, ids: list[int], start: int, length: int) -> Drawn:
    tokens = torch.tensor(ids[start : start + length], dtype=torch.int64)
    name = f"{row.id}@{start}" if row.running else row.id
    return Drawn(Sample(tokens, None, None, None), name, None)


def text_of(row: Row, column: str) -> str:
    """Return the text of a row.

    Raises:
        MissingColumnError: The row has no such column.
        BadTextError: The column holds no text, or text that is not Unicode.
    """
    if column not in row.values:
        raise MissingColumnError(
            f"{row.id} has no column {column!r}; its columns are {sorted(row.values)}. Say which "
            "of them holds the text with text_column, or set skip_bad_rows."
        )
    text = row.values[column]
    if not isinstance(text, str):
        raise BadTextError(
            f"{row.id} holds a {type(text).__name__} in column {column!r}, where text belongs. "
            "Repair the row, or set skip_bad_rows to leave such rows out and count them."
        )
    return checked_text(text, f"{row.id}, column {column!r},")


def checked_text(text: str, place: str) -> str:
    """Return ``text`` if it is Unicode.  JSON can spell what is not: half a surrogate pair.

    Raises:
        BadTextError: It is not.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadTextError(
            f"{place} holds {text[error.start]!r} at character {error.start}, half a surrogate "
            "pair, which is no Unicode text. Repair the row, or set skip_bad_rows."
        ) from error
    return text
