"""Take an export out of a published revision again: the very files, without what was laid beside.

A revision holds the export and the papers of the repository that it was published in.  Another
repository gets other papers, so what is promoted is the export alone: every file that its
`roundhouse.json` lists, with the digest that it lists, and nothing else.
"""

import json
from pathlib import Path, PurePosixPath
from typing import Any

from infra.checkpoints.sidefiles import PROVENANCE, SUMS, sums_of
from infra.errors import CandidateError
from infra.files import explaining, link_or_copy, sha256_of, write_atomically


def restore(snapshot: Path, folder: Path) -> None:
    """Make ``folder`` the export that the files of a revision came from.

    Args:
        snapshot: The files of the revision.
        folder: A folder that is not there yet.

    Raises:
        CandidateError: The revision holds no export, lacks a file of it, or has another in its
            place.
        StorageError: A file cannot be read or written.
    """
    listed = _listed(snapshot)
    digests = {name: _checked(snapshot, name, told) for name, told in sorted(listed.items())}
    with explaining(folder, "writing"):
        folder.mkdir(parents=True)
        for name in (*digests, PROVENANCE):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            link_or_copy((snapshot / name).resolve(), folder / name)
    digests[PROVENANCE] = sha256_of(snapshot / PROVENANCE)
    write_atomically(folder / SUMS, sums_of(digests))


def provenance(folder: Path) -> dict[str, Any]:
    """Return what an export tells of itself.

    Raises:
        CandidateError: It tells nothing.
        StorageError: It cannot be read.
    """
    path = folder / PROVENANCE
    if not path.is_file():
        raise CandidateError(
            f"{folder.name} holds no {PROVENANCE}, so it is no export of Roundhouse. Tag a "
            "revision that `roundhouse run` has published."
        )
    with explaining(path, "reading"):
        data = path.read_bytes()
    try:
        told = json.loads(data)
    except ValueError as error:
        raise CandidateError(f"{PROVENANCE} of the candidate is no JSON: {error}.") from error
    if not isinstance(told, dict):
        raise CandidateError(f"{PROVENANCE} of the candidate is no JSON object.")
    return told


def _listed(snapshot: Path) -> dict[str, str]:
    """Return the files that an export says it has, with their digests."""
    files = provenance(snapshot).get("files")
    if not isinstance(files, dict) or not files:
        raise CandidateError(f"{PROVENANCE} of the candidate lists no files.")
    listed: dict[str, str] = {}
    for name, told in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or name in (PROVENANCE, SUMS, ""):
            raise CandidateError(
                f"{PROVENANCE} of the candidate lists the file {name!r}, which is no file of an "
                "export. It was written by something else; quantize the model again."
            )
        listed[name] = str(told.get("sha256")) if isinstance(told, dict) else ""
    return listed


def _checked(snapshot: Path, name: str, sha256: str) -> str:
    path = snapshot / name
    if not path.is_file():
        raise CandidateError(
            f"The candidate lacks {name}, which its {PROVENANCE} lists. Tag a revision that holds "
            "the whole export."
        )
    with explaining(path, "reading"):
        found = sha256_of(path)
    if found != sha256:
        raise CandidateError(
            f"{name} of the candidate has SHA-256 {found}, and its {PROVENANCE} says {sha256}: the "
            "file was changed after the export was verified. Tag the revision as it was published."
        )
    return found
