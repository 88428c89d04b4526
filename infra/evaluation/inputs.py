"""Questions as a model's own processor puts them: chat template, tokens, and pictures to size.

Pictures are scaled here, by Pillow's bicubic filter as VLMEvalKit's are, to a size that every
processor then leaves alone; so all engines see the same pixels.  The number of a picture's tokens
follows from its size, which is in the first bytes of the file: questions are laid out in batches
before any picture is decoded.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from infra.calibration.conversations import open_processor
from infra.calibration.images import FORMATS
from infra.errors import PromptError
from infra.evaluation.engine import Answer, Generation, Request
from infra.files import Json, canonical_json

_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError),
    Image.DecompressionBombError,
)
_PICTURE_SETTINGS = (
    "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std",
    "patch_size", "temporal_patch_size", "merge_size",
)  # fmt: skip


class PixelBounds(NamedTuple):
    """Pictures are scaled until they have this many pixels."""

    smallest: int
    largest: int


class Pixels(NamedTuple):
    """A picture as the vision tower takes it."""

    values: Tensor  # [patches, values of a patch], float32
    grid: Tensor  # int64 [1, 3]: time, rows and columns of patches


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question as tokens; those of its picture are told by their number."""

    request: Request
    head: tuple[int, ...]  # before the picture
    picture_tokens: int
    tail: tuple[int, ...]  # behind the picture; never empty
    size: tuple[int, int]  # width and height that the picture is scaled to

    @property
    def prefix_length(self) -> int:
        """Tokens up to the end of the picture."""
        return len(self.head) + self.picture_tokens

    @property
    def length(self) -> int:
        """All tokens."""
        return self.prefix_length + len(self.tail)


@dataclass(frozen=True, slots=True)
class Prompter:
    """Turns questions into what a model reads; `open_prompter` makes one."""

    processor: Any
    bounds: PixelBounds
    special_tokens: tuple[str, ...]

    @property
    def picture_token(self) -> int:
        """The token that holds the place of a piece of picture."""
        return int(self.processor.image_token_id)

    def text(self, request: Request) -> str:
        """Put one user turn, picture first, into the chat template, up to the model's turn.

        Raises:
            PromptError: The question spells a special token, which would forge a turn.
        """
        forged = next((each for each in self.special_tokens if each in request.text), None)
        if forged is not None:
            raise PromptError(
                f"The question with index {request.index} spells {forged!r}, a special token of "
                "the model, which would be read as a part of the chat format. Take it out of the "
                "benchmark's table, or leave the row out."
            )
        turn = [{"type": "image"}, {"type": "text", "text": request.text}]
        text: str = self.processor.apply_chat_template(
            [{"role": "user", "content": turn}], tokenize=False, add_generation_prompt=True
        )
        return text

    def prompts(self, requests: Sequence[Request]) -> list[Prompt]:
        """Turn questions into tokens; of pictures only the size is read.

        Raises:
            PromptError: A question or picture cannot be put to the model.
        """
        if not requests:
            return []
        encoded = self.processor.tokenizer([self.text(request) for request in requests])
        sizes: dict[bytes, tuple[int, int]] = {}
        for request in requests:
            if request.image not in sizes:
                sizes[request.image] = self.size(request)
        return [
            self._prompt(request, ids, sizes[request.image])
            for request, ids in zip(requests, encoded["input_ids"], strict=True)
        ]

    def size(self, request: Request) -> tuple[int, int]:
        """Return the width and height that a question's picture is scaled to.

        Raises:
            PromptError: It is no picture, or one so narrow that the model refuses it.
        """
        try:
            with Image.open(io.BytesIO(request.image), formats=FORMATS) as picture:
                width, height = picture.size
            tall, wide = smart_resize(height, width, self._cell(), *self.bounds)
        except _UNREADABLE as error:
            raise _bad_picture(request, error) from error
        return int(wide), int(tall)

    def picture(self, request: Request, size: tuple[int, int]) -> Image.Image:
        """Decode a question's picture and scale it to ``size``.

        Raises:
            PromptError: The picture is damaged.
        """
        try:
            with Image.open(io.BytesIO(request.image), formats=FORMATS) as picture:
                return picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        except _UNREADABLE as error:
            raise _bad_picture(request, error) from error

    def pixels(self, prompt: Prompt) -> Pixels:
        """Decode a question's picture and cut it into patches.

        Raises:
            PromptError: The picture is damaged.
        """
        picture = self.picture(prompt.request, prompt.size)
        cut = self.processor.image_processor(images=[picture], do_resize=False, return_tensors="pt")
        return Pixels(cut["pixel_values"], cut["image_grid_thw"])

    def answer(self, request: Request, tokens: Sequence[int], *, capped: bool) -> Answer:
        """Turn what was generated, without the token that ends it, back into text."""
        text: str = self.processor.tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return Answer(request.index, text, len(tokens), capped)

    def digest(self) -> str:
        """Return a digest of chat template, tokenizer and treatment of pictures."""
        tokenizer = json.loads(self.processor.tokenizer.backend_tokenizer.to_str())
        for passing in ("padding", "truncation"):  # how it was called last
            tokenizer.pop(passing, None)
        settings = self.processor.image_processor.to_dict()
        parts: Json = {
            "template": self.processor.chat_template,
            "tokenizer": tokenizer,
            "pictures": {name: settings.get(name) for name in _PICTURE_SETTINGS},
        }
        return hashlib.sha256(canonical_json(parts)).hexdigest()

    def _cell(self) -> int:
        """Return the side, in pixels, of what becomes one token."""
        settings = self.processor.image_processor
        return int(settings.patch_size * settings.merge_size)

    def _prompt(self, request: Request, ids: list[int], size: tuple[int, int]) -> Prompt:
        places = [place for place, token in enumerate(ids) if token == self.picture_token]
        if len(places) != 1 or places[0] == len(ids) - 1:
            raise PromptError(
                f"The chat template puts {len(places)} pictures into the question with index "
                f"{request.index}, where one is expected, with text behind it. Use the model's own "
                "chat template."
            )
        wide, tall = size
        tokens = (wide // self._cell()) * (tall // self._cell())
        head, tail = ids[: places[0]], ids[places[0] + 1 :]
        return Prompt(request, tuple(head), tokens, tuple(tail), size)


def open_prompter(folder: Path, generation: Generation) -> Prompter:
    """Open the processor of a model folder.

    Raises:
        ProcessorError: The folder has no processor that takes pictures, or no chat template.
    """
    encoder = open_processor(folder)
    size = encoder.processor.image_processor.size
    own = PixelBounds(int(size["shortest_edge"]), int(size["longest_edge"]))
    return Prompter(encoder.processor, admitted(generation, own), encoder.special_tokens)


def admitted(generation: Generation, own: PixelBounds) -> PixelBounds:
    """Return the bounds that were asked for as far as the model's ``own`` admit them.

    A model that was made for small pictures keeps its own bounds where the benchmark asks for more
    pixels than it ever takes.
    """
    smallest, largest = generation.min_pixels or own.smallest, generation.max_pixels or own.largest
    if smallest > own.largest or largest < own.smallest:
        return own
    largest = min(largest, own.largest)
    return PixelBounds(min(max(smallest, own.smallest), largest), largest)


def _bad_picture(request: Request, error: Exception) -> PromptError:
    return PromptError(
        f"The picture of the question with index {request.index} ({len(request.image)} bytes) "
        f"cannot be put to the model: {error}. Repair it in the benchmark's table, or leave the "
        "row out."
    )
