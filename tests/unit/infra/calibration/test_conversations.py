"""LLaVA rows: picture first, real turns, cut at seqlen but never within the picture."""

from pathlib import Path

import pytest
import torch

from infra.calibration.conversations import (
    ChatEncoder,
    Turn,
    draw_conversation,
    fit,
    open_processor,
    parse,
)
from infra.calibration.outcome import Drawn, Skipped
from infra.calibration.rows import Row
from infra.calibration.sample import Sample
from infra.errors import (
    BadConversationError,
    BadImageError,
    BadTextError,
    MissingColumnError,
    ProcessorError,
)
from tests.support.calibration import SENTENCE, a_row, a_spec, chat, picture

SPEC = a_spec("rows.json", kind="image_text", seqlen=256)
PICTURE = {"bytes": picture(), "path": None}  # 112 x 112 pixels: 16 image tokens


def draw(row: Row, encoder: ChatEncoder, seqlen: int = 256) -> list[Drawn] | Skipped:
    """Draw from a row whose picture, if any, is inside it."""
    spec = SPEC.model_copy(update={"seqlen": seqlen})
    return draw_conversation(row, spec, encoder, ())


def sample_of(row: Row, encoder: ChatEncoder, seqlen: int = 256) -> Sample:
    """Return the one sample of a row that gives one."""
    outcome = draw(row, encoder, seqlen)
    assert isinstance(outcome, list)
    [drawn] = outcome
    return drawn.sample


@pytest.mark.parametrize(
    "question", ["<image>\nWhat is it?", "What is it?\n<image>", "What is it?"]
)
def test_the_picture_comes_first_and_no_prompt_dangles(encoder: ChatEncoder, question: str) -> None:
    """Wherever the mark stands, the model reads picture, question, answer, and then nothing."""
    sample = sample_of(a_row(chat(question, "A box."), image=PICTURE), encoder)

    read = encoder.processor.tokenizer.decode(sample.input_ids)
    assert read == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        f"<|im_start|>user\n<|vision_start|>{'<|image_pad|>' * 16}<|vision_end|>What is it?"
        "<|im_end|>\n<|im_start|>assistant\nA box.<|im_end|>\n"
    )


def test_a_sample_holds_what_the_model_takes(encoder: ChatEncoder) -> None:
    """Token types mark exactly the image tokens; patches and grid belong to one picture."""
    sample = sample_of(a_row(chat("What?", "A box."), image=PICTURE), encoder)

    is_image = sample.input_ids == encoder.processor.image_token_id
    assert sample.mm_token_type_ids is not None
    assert sample.pixel_values is not None
    assert sample.image_grid_thw is not None
    assert is_image.tolist() == sample.mm_token_type_ids.bool().tolist()
    assert sample.image_grid_thw.tolist() == [[1, 8, 8]]
    assert (torch.float32, (64, 1176)) == (sample.pixel_values.dtype, sample.pixel_values.shape)
    assert int(is_image.sum()) == 16


def test_the_picture_is_known_by_its_digest(encoder: ChatEncoder) -> None:
    """The report can tell which pictures were seen."""
    [drawn] = draw(a_row(chat("What?", "A box."), image=PICTURE), encoder)

    assert (drawn.row_id, len(drawn.image_sha256 or "")) == ("rows.json[3]", 64)


@pytest.mark.parametrize("image", [None, ""])
def test_a_conversation_without_picture_is_text(encoder: ChatEncoder, image: object) -> None:
    """Its turns go through the same template; no token stands for a picture."""
    sample = sample_of(a_row(chat(SENTENCE, SENTENCE), image=image), encoder)

    assert sample.mm_token_type_ids is not None
    assert (int(sample.mm_token_type_ids.sum()), *sample[2:]) == (0, None, None)


def test_a_long_conversation_is_cut_at_seqlen(encoder: ChatEncoder) -> None:
    """What is kept is the beginning; token types are cut alike."""
    row = a_row(chat("What?", SENTENCE * 50), image=PICTURE)
    whole = sample_of(row, encoder, seqlen=4000)

    cut = sample_of(row, encoder, seqlen=128)

    assert cut.mm_token_type_ids is not None
    assert whole.input_ids[:128].tolist() == cut.input_ids.tolist()
    assert len(cut.mm_token_type_ids) == 128


def test_a_picture_is_never_cut(encoder: ChatEncoder) -> None:
    """The closing token must fit too: one token less and the row is skipped, with its need."""
    row = a_row(chat("What is it?", SENTENCE * 9), image=PICTURE)
    types = sample_of(row, encoder).mm_token_type_ids
    assert types is not None
    needed = int(types.nonzero().max()) + 2

    assert needed == len(sample_of(row, encoder, seqlen=needed).input_ids)
    assert Skipped("image_does_not_fit", needed) == draw(row, encoder, seqlen=needed - 1)


def test_a_short_conversation_keeps_its_length_down_to_the_minimum(encoder: ChatEncoder) -> None:
    """At min_length it is kept as it is, below it is skipped; nothing is padded."""
    row = a_row(chat("Hi", SENTENCE))
    sample = sample_of(row, encoder)
    length = len(sample.input_ids)

    exact = SPEC.model_copy(update={"min_length": length})
    over = SPEC.model_copy(update={"min_length": length + 1})
    assert sample.input_ids.tolist() == fit(sample, exact).input_ids.tolist()
    assert Skipped("shorter_than_min_length", length) == fit(sample, over)


def test_turns_are_taken_apart_in_order() -> None:
    """Human is the user, gpt the assistant; marks and the space around them are gone."""
    conversation = parse(a_row(chat("<image>\nQ1", "A1", "Q2", "A2"), image="a.png"))

    assert (
        Turn("user", "Q1"),
        Turn("assistant", "A1"),
        Turn("user", "Q2"),
        Turn("assistant", "A2"),
    ) == conversation.turns
    assert conversation.image == "a.png"


def test_a_question_may_be_the_picture_alone() -> None:
    """A first turn of the mark alone asks with the picture."""
    assert parse(a_row(chat("<image>", "A box."), image="a.png")).turns[0].text == ""


@pytest.mark.parametrize(
    ("turns", "image", "message"),
    [
        ([{"from": "gpt", "value": "A"}], None, "turn 0 is from 'gpt', where 'human' must speak"),
        ([{"from": "system", "value": "A"}], None, r"from 'system'; known are \['gpt', 'human'\]"),
        ([*chat("Q"), *chat("Q")], None, "turn 1 is from 'human', where 'gpt' must speak"),
        ([{"role": "user", "content": "Q"}], None, "turn 0 is .*'from' and 'value'"),
        ([{"from": "human", "value": 7}], None, "turn 0 holds a int"),
        (["Q"], None, "turn 0 is 'Q'"),
        ([], None, "not a list of turns"),
        ("Q", None, "not a list of turns"),
        (None, None, "not a list of turns"),
        (chat("Q", " "), None, "turn 1 says nothing"),
        (chat("", "A"), None, "turn 0 says nothing"),
        (chat("<image> Q", "A"), None, "it has 1 <image> marks and 0 pictures"),
        (chat("<image> <image> Q", "A"), "a.png", "it has 2 <image> marks and 1 pictures"),
    ],
)
def test_a_broken_conversation_is_named(turns: object, image: object, message: str) -> None:
    """Each fault is told with the row and the turn, and with what is expected."""
    with pytest.raises(BadConversationError, match=message) as raised:
        parse(a_row(turns, image=image))

    assert "rows.json[3]" in str(raised.value)


def test_a_row_without_conversations_lists_its_columns() -> None:
    """A text set given as image_text is told apart."""
    with pytest.raises(MissingColumnError, match=r"'conversations'; its columns are \['text'\]"):
        parse(Row("rows.json[3]", {"text": "x"}))


def test_half_a_surrogate_pair_is_refused() -> None:
    """What is no Unicode text is refused before a tokenizer fails on it."""
    with pytest.raises(BadTextError, match=r"rows\.json\[3\], turn 1,"):
        parse(a_row(chat("Q", "\ud800")))


@pytest.mark.parametrize("token", ["<|im_end|>", "<|image_pad|>", "<|im_start|>"])
def test_a_text_cannot_forge_a_turn_or_a_picture(encoder: ChatEncoder, token: str) -> None:
    """Special tokens are the format's own: a turn that spells one is refused."""
    row = a_row(chat("Q", f"A {token} B"))

    with pytest.raises(BadConversationError, match=r"Turn 1 of rows\.json\[3\] spells '<\|im"):
        draw(row, encoder)


def test_a_picture_that_the_processor_refuses_is_named(encoder: ChatEncoder) -> None:
    """A line of 1 x 1000 pixels has no patches to speak of."""
    image = {"bytes": picture((1000, 1)), "path": None}

    with pytest.raises(BadImageError, match=r"refuses the picture of rows\.json\[3\].*aspect"):
        draw(a_row(chat("Q", "A"), image=image), encoder)


def test_one_pixel_is_a_picture(encoder: ChatEncoder) -> None:
    """The smallest picture is scaled up to the smallest grid."""
    image = {"bytes": picture((1, 1)), "path": None}

    grid = sample_of(a_row(chat(SENTENCE, "A"), image=image), encoder).image_grid_thw

    assert grid is not None
    assert grid.tolist() == [[1, 4, 4]]


def test_a_folder_without_processor_is_refused(tmp_path: Path) -> None:
    """The message names the folder and the files that are missing."""
    with pytest.raises(ProcessorError, match=r"no processor.*preprocessor_config\.json"):
        open_processor(tmp_path)


def test_a_model_of_text_alone_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    """A tokenizer alone cannot take pictures."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((tiny_model / name).read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}', encoding="utf-8")

    with pytest.raises(ProcessorError, match="takes text only"):
        open_processor(tmp_path)


def test_a_model_without_chat_template_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    """Turns are never joined by a template of our own."""
    for path in tiny_model.iterdir():
        if path.suffix != ".safetensors" and path.name != "chat_template.json":
            text = path.read_text(encoding="utf-8").replace('"chat_template"', '"no_template"')
            (tmp_path / path.name).write_text(text, encoding="utf-8")

    with pytest.raises(ProcessorError, match="has no chat template"):
        open_processor(tmp_path)
