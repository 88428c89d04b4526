"""Calibration sets known by a short name: data, and nothing else.

The two sets of the reference release are here with the commit they are pinned to, so that "pile"
means the same rows next year.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from infra.calibration.spec import Kind


class KnownSet(NamedTuple):
    """A data set on the Hub that is known by a short name."""

    source: str  # Hub id
    revision: str  # commit
    kind: Kind
    data_files: tuple[str, ...]  # empty: all
    licence: str  # as its card says, and what else a user should know


_LLAVA = "liuhaotian/LLaVA-Instruct-150K"
_LLAVA_COMMIT = "9d451dc7629cfe0469f6ae4432b765cd603d5fcb"
_LLAVA_LICENCE = (
    "cc-by-4.0; its card adds the policy of OpenAI, whose model wrote the answers. The pictures "
    "are COCO train2017, which are not part of the data set and have their own terms"
)

KNOWN: Mapping[str, KnownSet] = MappingProxyType(
    {
        "pile": KnownSet(
            source="NeelNanda/pile-10k",
            revision="127bfedcd5047750df5ccf3a12979a47bfa0bafa",
            kind="text",
            data_files=(),
            licence="bigscience-bloom-rail-1.0, as its card says; the texts, the first 10,000 of "
            "The Pile, have the terms of their own sources",
        ),
        "llava": KnownSet(
            source=_LLAVA,
            revision=_LLAVA_COMMIT,
            kind="image_text",
            data_files=("llava_instruct_150k.json",),
            licence=_LLAVA_LICENCE,
        ),
        "llava_conv_58k": KnownSet(
            source=_LLAVA,
            revision=_LLAVA_COMMIT,
            kind="image_text",
            data_files=("conversation_58k.json",),
            licence=_LLAVA_LICENCE,
        ),
    }
)


def licence_of(source: str) -> str | None:
    """Return what is known about the licence of a Hub data set."""
    return next((known.licence for known in KNOWN.values() if known.source == source), None)
