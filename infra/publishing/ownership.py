"""Whether a branch may be made a release's: it is new, or a release of the same model is on it.

Publishing deletes what a release does not own.  So it never begins on what somebody else put there:
a branch counts as ours by the `roundhouse.json` that every export brings along.
"""

import json
from typing import Any

from infra.checkpoints.sidefiles import PROVENANCE
from infra.errors import ForeignRepositoryError, NotAnExportError
from infra.publishing.hub import Hub
from infra.publishing.manifest import NOT_OURS, Manifest, bytes_of
from infra.publishing.put import Place

CARD = "README.md"


def require_export(files: Manifest, what: str) -> None:
    """Require what every revision must have: the provenance, the weights and the card.

    Raises:
        NotAnExportError: It lacks one of them.
    """
    if _told_by(files) is None:
        raise NotAnExportError(
            f"{what} is no export to publish: it holds no {PROVENANCE} that can be read. Name the "
            "folder that `roundhouse quantize` wrote."
        )
    if not any(path.endswith(".safetensors") for path in files):
        raise NotAnExportError(
            f"{what} is no export to publish: it holds no safetensors file. Name the folder that "
            "`roundhouse quantize` wrote."
        )
    if CARD not in files:
        raise NotAnExportError(
            f"Nothing would say what {what} is: neither the folder nor its papers have a {CARD}."
        )


def require_ours(hub: Hub, place: Place, head: str, files: Manifest) -> None:
    """Require that a branch is new, or holds a release of the model that is to be published.

    Args:
        hub: Where it is.
        place: The branch.
        head: Where the branch is.
        files: What is to be published.

    Raises:
        ForeignRepositoryError: It holds something else.
        PublishError: The Hub refuses.
        HubUnreachableError: It does not answer.
    """
    there = sorted(hub.tree(place.repo_id, head).keys() - {NOT_OURS})
    if not there:
        return
    found = hub.read(place.repo_id, head, PROVENANCE) if PROVENANCE in there else b""
    told = _provenance(found)
    if told is None:
        raise ForeignRepositoryError(
            f"{place} at {hub.endpoint} holds what no release of Roundhouse put there "
            f"({', '.join(there[:3])}{', ...' if len(there) > 3 else ''}), and publishing would "  # noqa: PLR2004 -- a few
            "delete it. Nothing was changed. Publish to a new repository, or empty the branch."
        )
    source, ours = _source(told), _source(_told_by(files) or {})
    if source and ours and source != ours:
        raise ForeignRepositoryError(
            f"{place} at {hub.endpoint} holds a release of {source}, and this one is of {ours}. "
            "Nothing was changed. Publish each model to a repository of its own."
        )


def _told_by(files: Manifest) -> dict[str, Any] | None:
    return _provenance(bytes_of(files[PROVENANCE])) if PROVENANCE in files else None


def _provenance(data: bytes) -> dict[str, Any] | None:
    """Return what a `roundhouse.json` says; None if it is none."""
    try:
        told = json.loads(data)
    except ValueError:
        return None
    return told if isinstance(told, dict) and {"schema", "format"} <= told.keys() else None


def _source(told: dict[str, Any]) -> str | None:
    """Return the repository of the 16-bit model; None where it was a folder."""
    source = told.get("source")
    repo_id = source.get("repo_id") if isinstance(source, dict) else None
    return repo_id if isinstance(repo_id, str) else None
