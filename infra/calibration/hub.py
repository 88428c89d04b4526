"""Rows through `datasets`: a data set on the Hub at one commit, or a local parquet file.

A branch can move between two calls, and so a revision is resolved to its commit once, before
anything is read, and only the commit is used from there on.  Nothing else is ever tried: a set
that cannot be had is an error, and not a reason to calibrate on another one.
"""

import re
from pathlib import Path
from typing import NamedTuple

import httpx2
from datasets import Dataset, Image, load_dataset
from datasets.exceptions import DatasetsError
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from infra.calibration.known import licence_of
from infra.calibration.report import Origin
from infra.calibration.rows import Row, RowSet, Table
from infra.calibration.spec import CalibrationSpec
from infra.errors import CalibrationSourceError

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Pinned(NamedTuple):
    """A data set on the Hub, at one commit."""

    commit: str  # 40 hex digits
    licence: str | None  # as its card says at that commit; None where not asked or not said


def pin(dataset_id: str, revision: str | None) -> Pinned:
    """Resolve a branch, a tag or nothing to a commit.  A commit is itself, without a call.

    Raises:
        CalibrationSourceError: No such data set or revision, or the Hub cannot be reached.
    """
    if revision is not None and _COMMIT.fullmatch(revision):
        return Pinned(revision, None)
    at = f"{dataset_id} at revision {revision or 'main (none was given)'}"
    try:
        info = HfApi().dataset_info(dataset_id, revision=revision)
    except RevisionNotFoundError as error:
        raise CalibrationSourceError(
            f"The data set {at} does not exist: the data set does, the revision does not. Look at "
            "its list of branches, tags and commits, and give one of them."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise CalibrationSourceError(
            f"{dataset_id!r} is neither a file or folder here nor a data set on the Hub that can "
            "be seen. Check the spelling of the path or id; for a private or gated data set, log "
            "in with a token that may read it."
        ) from error
    except (httpx2.HTTPError, OSError) as error:
        raise CalibrationSourceError(
            f"The data set {at} could not be looked up: {error}. Check the network and HF_ENDPOINT "
            "and run again, or give a commit of 40 hex digits that is in the local cache."
        ) from error
    if info.sha is None or not _COMMIT.fullmatch(info.sha):
        raise CalibrationSourceError(
            f"The Hub named no commit for the data set {at} but {info.sha!r}. Give a commit of 40 "
            "hex digits as the revision."
        )
    licence = info.card_data.get("license") if info.card_data else None
    return Pinned(info.sha, licence if isinstance(licence, str) else None)


def open_hub(spec: CalibrationSpec) -> RowSet:
    """Open one split of the Hub data set ``spec.source`` at one commit.

    Raises:
        CalibrationSourceError: It cannot be resolved, fetched or read.
    """
    pinned = pin(spec.source, spec.revision)
    frame = load_frame(
        spec.source,
        revision=pinned.commit,
        split=spec.split,
        data_files=list(spec.data_files) or None,
    )
    if len(frame) == 0:
        raise CalibrationSourceError(
            f"Split {spec.split!r} of {spec.source} at {pinned.commit} holds no rows. Name another "
            "split."
        )
    licence = pinned.licence or licence_of(spec.source)
    origin = Origin(where="hub", source=spec.source, revision=pinned.commit, licence=licence)
    return RowSet((frame_table(frame, spec.split),), origin)


def load_frame(
    path: str,
    *,
    revision: str | None = None,
    split: str = "train",
    data_files: list[str] | None = None,
) -> Dataset:
    """Load one split through `datasets`, memory-mapped, pictures left encoded.

    Args:
        path: Hub id, or the name of a packaged format as in "parquet".
        revision: Commit; only for a Hub id.
        split: Name of the split.
        data_files: Files or patterns to read; None means all.

    Raises:
        CalibrationSourceError: `datasets` cannot read it.
    """
    what = ", ".join(data_files) if data_files else "its files"
    of = f"{path} at {revision}, split {split!r}" if revision else f"{path} files"
    try:
        frame = load_dataset(
            path, revision=revision, split=split, data_files=data_files, keep_in_memory=False
        )
    except (DatasetsError, httpx2.HTTPError, OSError, ValueError) as error:
        raise CalibrationSourceError(
            f"{what} ({of}) cannot be read: {type(error).__name__}: {error} Check that the files "
            "are whole and the split is there; data_files says which of several files to read."
        ) from error
    if revision is not None:
        _require_commit(frame, path, revision)
    for column, feature in frame.features.items():
        if isinstance(feature, Image):
            frame = frame.cast_column(column, Image(decode=False))
    return frame


def _require_commit(frame: Dataset, path: str, commit: str) -> None:
    """Refuse rows of another commit.

    Where the Hub cannot be reached, `datasets` returns what it unpacked last for this data set,
    whichever commit was asked for.  The folder it unpacked into is named after the commit.
    """
    unpacked = {Path(file["filename"]).parent.name for file in frame.cache_files}
    if unpacked != {commit}:
        raise CalibrationSourceError(
            f"{path} at {commit} could not be fetched, and the local cache gave another version of "
            f"it ({', '.join(sorted(unpacked)) or 'unnamed'}), which is not used. Check the "
            "network and run again, or ask for the version that is in the cache."
        )


def frame_table(frame: Dataset, name: str) -> Table:
    """Return the rows of a frame, named ``name[index]``."""

    def fetch(index: int) -> Row:
        return Row(f"{name}[{index}]", frame[index])

    return Table(len(frame), fetch)
