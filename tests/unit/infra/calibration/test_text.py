"""Documents to samples of exactly seqlen tokens."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from infra.calibration.outcome import Skipped
from infra.calibration.rows import Row
from infra.calibration.text import draw_text, open_tokenizer
from infra.errors import BadTextError, MissingColumnError, ProcessorError
from tests.support.calibration import SENTENCE, a_spec

SPEC = a_spec("rows.jsonl", seqlen=16)


def a_document(text: object) -> Row:
    """Return a row of one document."""
    return Row("rows.jsonl:4", {"text": text})


def test_a_long_document_gives_its_head(tokenizer: Any) -> None:
    """One window a document, from its beginning, of exactly seqlen tokens."""
    text = SENTENCE * 20

    [drawn] = draw_text(a_document(text), SPEC, tokenizer)

    assert tokenizer(text)["input_ids"][:16] == drawn.sample.input_ids.tolist()
    assert (torch.int64, (16,)) == (drawn.sample.input_ids.dtype, drawn.sample.input_ids.shape)
    assert drawn.sample[1:] == (None, None, None)
    assert drawn.row_id == "rows.jsonl:4"


def test_a_document_of_exactly_seqlen_is_taken(tokenizer: Any) -> None:
    """The bound is inclusive: a document one token longer or equal is enough."""
    ids = tokenizer(SENTENCE)["input_ids"]
    spec = a_spec("rows.jsonl", seqlen=len(ids))

    [drawn] = draw_text(a_document(SENTENCE), spec, tokenizer)

    assert ids == drawn.sample.input_ids.tolist()


@pytest.mark.parametrize("text", ["", "short"])
def test_a_short_document_is_skipped_with_its_length(tokenizer: Any, text: str) -> None:
    """Nothing is padded, and no two documents are glued together."""
    length = len(tokenizer(text)["input_ids"])

    assert Skipped("shorter_than_seqlen", length) == draw_text(a_document(text), SPEC, tokenizer)


def test_running_text_gives_every_window_once(tokenizer: Any) -> None:
    """Text without documents is cut from end to end; what is left over at the end is dropped."""
    text = SENTENCE * 10
    row = Row("book.txt", {"text": text}, running=True)

    drawn = draw_text(row, SPEC, tokenizer)

    ids = tokenizer(text, verbose=False)["input_ids"]
    starts = range(0, len(ids) - 15, 16)
    expected = {f"book.txt@{start}": ids[start : start + 16] for start in starts}
    assert expected == {one.row_id: one.sample.input_ids.tolist() for one in drawn}
    assert list(expected) != [one.row_id for one in drawn]


def test_special_tokens_spelled_in_a_text_are_plain_characters(tokenizer: Any) -> None:
    """A document about chat formats must not hold the place of a picture."""
    spec = a_spec("rows.jsonl", seqlen=8)

    [drawn] = draw_text(a_document("<|image_pad|><|im_end|>" * 9), spec, tokenizer)

    special = {tokenizer.convert_tokens_to_ids(token) for token in tokenizer.all_special_tokens}
    assert set() == special & set(drawn.sample.input_ids.tolist())


def test_a_missing_column_lists_those_that_are_there(tokenizer: Any) -> None:
    """The remedy is to name the right column, so the message shows them."""
    row = Row("rows.jsonl:4", {"content": "x", "id": 3})

    with pytest.raises(MissingColumnError, match=r"jsonl:4 has no column 'text'.*'content', 'id'"):
        draw_text(row, SPEC, tokenizer)


def test_another_column_can_be_named(tokenizer: Any) -> None:
    """`text_column` says where the text is."""
    row = Row("rows.jsonl:4", {"content": SENTENCE * 20})

    [drawn] = draw_text(row, SPEC.model_copy(update={"text_column": "content"}), tokenizer)

    assert len(drawn.sample.input_ids) == 16


@pytest.mark.parametrize("value", [None, 7, ["text"]])
def test_what_is_no_text_is_refused(tokenizer: Any, value: object) -> None:
    """A number or a list in the text column is a broken row."""
    with pytest.raises(BadTextError, match=f"holds a {type(value).__name__} in column 'text'"):
        draw_text(a_document(value), SPEC, tokenizer)


def test_half_a_surrogate_pair_is_refused(tokenizer: Any) -> None:
    """JSON can spell what is no Unicode text, and a tokenizer would fail on it without a word."""
    text = json.loads('"ab\\ud800"')

    with pytest.raises(BadTextError, match="at character 2, half a surrogate pair"):
        draw_text(a_document(text), SPEC, tokenizer)


def test_a_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    """A missing tokenizer is not replaced by an empty one."""
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_vl"}', encoding="utf-8")

    with pytest.raises(ProcessorError, match="tokenizer without a vocabulary"):
        open_tokenizer(tmp_path)
    with pytest.raises(ProcessorError, match="no tokenizer that can be loaded"):
        open_tokenizer(tmp_path / "nothing")
