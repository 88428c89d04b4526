"""LLaVA rows to samples: one picture, then the conversation about it, as the model was trained.

Source: Liu et al., arXiv:2304.08485; columns `id`, `image`, `conversations[{from, value}]`.  LLaVA
marks the picture's place with "<image>", at the beginning or the end of the first question;
Qwen2-VL has the picture first, and so the mark is taken out and the picture put before the text.
The turns go through the model's own chat template, and end where the conversation ends: no prompt
for another answer is left dangling.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor
from transformers import AutoProcessor, ProcessorMixin

from infra.calibration.images import Picture, read_picture
from infra.calibration.outcome import Drawn, Skipped
from infra.calibration.rows import Row
from infra.calibration.sample import Sample
from infra.calibration.spec import CalibrationSpec
from infra.calibration.text import checked_text
from infra.errors import (
    BadConversationError,
    BadImageError,
    MissingColumnError,
    ProcessorError,
)

IMAGE_MARK = "<image>"
_ROLES = {"human": "user", "gpt": "assistant"}


class Turn(NamedTuple):
    """What one side says."""

    role: str  # "user" or "assistant"
    text: str


class Conversation(NamedTuple):
    """Turns of user and assistant in alternation, and the picture that they are about."""

    turns: tuple[Turn, ...]
    image: object  # path, or a picture stored in the data set; None: there is none


@dataclass(frozen=True, slots=True)
class ChatEncoder:
    """The model's processor, and what it must not find in a text."""

    processor: Any
    special_tokens: tuple[str, ...]


def open_processor(model_dir: Path) -> ChatEncoder:
    """Return the processor of a model folder.

    Raises:
        ProcessorError: The folder has no processor that takes pictures, or no chat template.
    """
    try:
        processor = AutoProcessor.from_pretrained(
            model_dir, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        raise ProcessorError(
            f"The model folder {model_dir} has no processor that can be loaded: {error}. Fetch the "
            "model again with preprocessor_config.json and its tokenizer files."
        ) from error
    if not isinstance(processor, ProcessorMixin):
        raise ProcessorError(
            f"The model in {model_dir} takes text only ({type(processor).__name__}), so it cannot "
            "be calibrated on pictures. Use a set of kind 'text'."
        )
    if not processor.chat_template:
        raise ProcessorError(
            f"The model folder {model_dir} has no chat template, so conversations cannot be put "
            "as the model expects them. Fetch chat_template.json (or chat_template.jinja) too."
        )
    added = processor.tokenizer.added_tokens_decoder.values()
    return ChatEncoder(processor, tuple(token.content for token in added if token.special))


def draw_conversation(
    row: Row, spec: CalibrationSpec, encoder: ChatEncoder, folders: tuple[Path, ...]
) -> list[Drawn] | Skipped:
    """Encode a row, cut to ``spec.seqlen`` tokens behind its picture.

    Args:
        row: The row.
        spec: What is asked for.
        encoder: The model's processor.
        folders: Where pictures lie.

    Raises:
        BadRowError: The row or its picture is broken.
    """
    conversation = parse(row)
    _refuse_special_tokens(conversation, encoder.special_tokens, row.id)
    picture = None
    if conversation.image is not None:
        picture = read_picture(
            conversation.image, folders, place=row.id, max_pixels=spec.max_image_pixels
        )
    sample = encode(conversation.turns, picture, encoder, place=row.id)
    fitted = fit(sample, spec)
    if isinstance(fitted, Skipped):
        return fitted
    return [Drawn(fitted, row.id, None if picture is None else picture.sha256)]


def parse(row: Row) -> Conversation:
    """Check a LLaVA row and take it apart.

    Raises:
        MissingColumnError: The row has no column `conversations`.
        BadConversationError: Unknown roles, turns out of order or empty, or image marks that do
            not go with the picture.
    """
    if "conversations" not in row.values:
        raise MissingColumnError(
            f"{row.id} has no column 'conversations'; its columns are {sorted(row.values)}. An "
            "image_text set needs LLaVA's columns id, image and conversations; for plain "
            "documents use kind 'text'."
        )
    said = row.values["conversations"]
    if not isinstance(said, list) or not said:
        raise _bad(row, f"conversations is {said!r}, and not a list of turns")
    image = row.values.get("image") or None
    turns = tuple(_turn(row, number, turn) for number, turn in enumerate(said))
    marks = sum(turn.text.count(IMAGE_MARK) for turn in turns)
    if marks > (1 if image is not None else 0):
        raise _bad(row, f"it has {marks} {IMAGE_MARK} marks and {1 if image else 0} pictures")
    unmarked = tuple(Turn(role, text.replace(IMAGE_MARK, "").strip()) for role, text in turns)
    for number, turn in enumerate(unmarked):
        if not turn.text and not (number == 0 and image is not None):
            raise _bad(row, f"turn {number} says nothing")
    return Conversation(unmarked, image)


def _turn(row: Row, number: int, turn: object) -> Turn:
    if not isinstance(turn, Mapping) or not {"from", "value"} <= turn.keys():
        raise _bad(row, f"turn {number} is {turn!r}, and not an object with 'from' and 'value'")
    speaker, text = turn["from"], turn["value"]
    expected = ("human", "gpt")[number % 2]
    if speaker not in _ROLES:
        raise _bad(row, f"turn {number} is from {speaker!r}; known are {sorted(_ROLES)}")
    if speaker != expected:
        raise _bad(row, f"turn {number} is from {speaker!r}, where {expected!r} must speak")
    if not isinstance(text, str):
        raise _bad(row, f"turn {number} holds a {type(text).__name__}, and not a text")
    return Turn(_ROLES[speaker], checked_text(text, f"{row.id}, turn {number},"))


def _bad(row: Row, what: str) -> BadConversationError:
    return BadConversationError(
        f"The conversation of {row.id} cannot be used: {what}. Turns go human, gpt, human, gpt, "
        "with one <image> mark at most, if there is a picture. Repair the row, or set "
        "skip_bad_rows to leave such rows out and count them."
    )


def _refuse_special_tokens(
    conversation: Conversation, special_tokens: tuple[str, ...], place: str
) -> None:
    """A text that spells a special token would forge a turn, or claim a picture."""
    for number, turn in enumerate(conversation.turns):
        found = next((token for token in special_tokens if token in turn.text), None)
        if found is not None:
            raise BadConversationError(
                f"Turn {number} of {place} spells {found!r}, a special token of the model, which "
                "would be read as a part of the chat format. Take it out, or set skip_bad_rows."
            )


def encode(
    turns: tuple[Turn, ...], picture: Picture | None, encoder: ChatEncoder, *, place: str
) -> Sample:
    """Put turns through the chat template and the processor, the picture before the first text.

    Raises:
        BadImageError: The processor refuses the picture, as for sides of 1 and 1000 pixels.
    """
    messages = [
        {"role": turn.role, "content": [{"type": "text", "text": turn.text}]} for turn in turns
    ]
    if picture is not None:
        messages[0]["content"] = [{"type": "image"}, *messages[0]["content"]]
    text = encoder.processor.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=False
    )
    images = None if picture is None else [picture.image]
    try:
        encoded = encoder.processor(text=[text], images=images, return_tensors="pt")
    except ValueError as error:
        raise BadImageError(
            f"The model's processor refuses the picture of {place}: {error}. Leave the row out, "
            "or set skip_bad_rows to leave such rows out and count them."
        ) from error
    return Sample(
        encoded["input_ids"][0],
        encoded["mm_token_type_ids"][0],
        encoded.get("pixel_values"),
        encoded.get("image_grid_thw"),
    )


def fit(sample: Sample, spec: CalibrationSpec) -> Sample | Skipped:
    """Cut a sample to ``spec.seqlen`` tokens, but never within its picture.

    The token after the last one of the picture closes it, and has to fit too.
    """
    kinds: Tensor | None = sample.mm_token_type_ids
    length = len(sample.input_ids)
    if kinds is not None and kinds.any():
        needed = int(kinds.nonzero().max()) + 2
        if needed > spec.seqlen:
            return Skipped("image_does_not_fit", needed)
    if length < spec.min_length:
        return Skipped("shorter_than_min_length", length)
    return sample._replace(
        input_ids=sample.input_ids[: spec.seqlen].clone(),
        mm_token_type_ids=None if kinds is None else kinds[: spec.seqlen].clone(),
    )
