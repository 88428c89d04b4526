"""Calibration sets known by a short name, and the spec that a name or a path stands for.

The two sets of the reference release are here with the commit they are pinned to, so that "pile"
means the same rows next year.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from infra.calibration.local import open_local
from infra.calibration.spec import CalibrationSpec, Kind


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


def spec_for(
    calibration: str,
    *,
    nsamples: int,
    seqlen: int,
    seed: int,
    images: str | None = None,
    revision: str | None = None,
) -> CalibrationSpec:
    """Return the spec that a short name, a path or a Hub id stands for.

    Args:
        calibration: As in "pile", "my/rows.jsonl" or "owner/name".
        nsamples: Number of samples.
        seqlen: Tokens per sample.
        seed: Seed of the order.
        images: Folder of the pictures; given, it makes the set one of image and text.
        revision: Commit, tag or branch of a Hub set, instead of the one a short name has.

    Raises:
        CalibrationSourceError: A local file or folder cannot be read.
        BadRowError: A row of it is broken.
    """
    path = Path(calibration).expanduser()
    known = None if path.exists() else KNOWN.get(calibration)
    stem = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._")[:64]
    spec = CalibrationSpec(
        name=calibration if known else stem or "calibration",
        kind=known.kind if known else "text" if images is None else "image_text",
        source=known.source if known else calibration,
        revision=revision or (known.revision if known else None),
        data_files=known.data_files if known else (),
        nsamples=nsamples,
        seqlen=seqlen,
        seed=seed,
        images=images,
    )
    if path.exists() and "conversations" in open_local(spec).row(0).values:
        return spec.model_copy(update={"kind": "image_text"})
    return spec
