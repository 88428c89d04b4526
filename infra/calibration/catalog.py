"""What a short name, a path or a Hub id on a command line stands for: a whole spec."""

import re
from pathlib import Path

from infra.calibration.known import KNOWN
from infra.calibration.local import open_local
from infra.calibration.spec import CalibrationSpec

__all__ = ["KNOWN", "spec_for"]


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
