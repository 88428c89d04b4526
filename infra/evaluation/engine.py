"""What answers questions: one small protocol, whatever is behind it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One question as a model gets it: the image, then the text."""

    index: int
    image: bytes  # encoded, as it is to be decoded and resized
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said."""

    index: int
    text: str  # without special tokens, not stripped
    tokens: int  # generated, the one that ends the answer not counted
    capped: bool  # stopped because max_new_tokens was reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """How answers are generated: always greedy, so that they can be repeated.

    Attributes:
        max_new_tokens: Longest answer.
        min_pixels: Images are scaled up to this many pixels; None: the model's own bound.
        max_pixels: Images are scaled down to this many pixels; None: as above.
        batch_size: Most questions in one forward pass; halved when memory runs out.
    """

    max_new_tokens: int = 64
    min_pixels: int | None = None
    max_pixels: int | None = None
    batch_size: int = 32


class Engine(Protocol):
    """Answers requests, as fast as it can, in any order."""

    @property
    def identity(self) -> Mapping[str, str | int]:
        """All that decides an answer besides weights, prompt and image: it is part of its key.

        Backend and version, precision, generation settings; never a device or a batch size.
        """

    def answer(self, requests: Sequence[Request]) -> Iterator[Sequence[Answer]]:
        """Yield answers batch by batch, each request answered once."""
