"""Know an export that an earlier, interrupted run of the same request has finished.

Nothing overwrites a checkpoint, so a run that was interrupted after an export would be in its own
way when it is started again.  An export tells in `roundhouse.json` what it was made from; if that
is what is asked for now, the folder is taken as it is, and verified like a fresh one.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prefect import task

from infra.checkpoints import inspect, require_absent
from infra.models.source import ModelSource
from tasks.specs import ExportRequest, ExportResult

PROVENANCE_FILE = "roundhouse.json"


def require_free_or_ours(source: ModelSource, request: ExportRequest) -> None:
    """Let output folders pass that are not there, or that this very request has made.

    Raises:
        OutputExistsError: A folder is there and holds something else.
    """
    export = request.export
    foreign = [
        name
        for name in export.formats
        if not _tells(export.output_dir / name, source, request.provenance)
    ]
    require_absent(export.output_dir, foreign)


@task(
    name="find-export",
    task_run_name="look for a finished export of {request.provenance[variant]}",
    persist_result=False,
)
def find_export(source: ModelSource, request: ExportRequest) -> ExportResult:
    """Return what earlier runs have finished of exactly this export, which may be nothing.

    Formats appear one after the other, so a run that was killed between two leaves the first.

    Raises:
        OutputExistsError: A folder is there that is not of this request, or is damaged.
    """
    export = request.export
    folders = {
        name: export.output_dir / name
        for name in export.formats
        if (export.output_dir / name).exists()
    }
    for name, folder in folders.items():
        if not _tells(folder, source, request.provenance) or inspect(folder).problems:
            require_absent(export.output_dir, (name,))
    return ExportResult(
        variant=str(request.provenance["variant"]),
        folders=folders,
        seconds=0.0,
        bytes=size_of(folders.values()),
    )


def size_of(folders: Iterable[Path]) -> int:
    """Return the bytes of all files below ``folders``; those with several names count once."""
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return sum({stat.st_ino: stat.st_size for stat in (path.stat() for path in files)}.values())


def _tells(folder: Path, source: ModelSource, provenance: dict[str, Any]) -> bool:
    """Whether an export tells of itself what is asked for."""
    try:
        told = json.loads((folder / PROVENANCE_FILE).read_bytes())
        same_source = told["source"]["digest"] == source.digest
        have = told["provenance"]
        return same_source and all(have[key] == value for key, value in provenance.items())
    except (OSError, ValueError, TypeError, KeyError):
        return False
