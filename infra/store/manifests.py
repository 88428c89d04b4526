"""Names and content of what a store keeps, alike in a folder and in a bucket."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.errors import CorruptArtifactError

OBJECTS, MANIFESTS, LEASES = "cas/sha256", "manifests", "leases"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def object_key(digest: str) -> str:
    """Return the name of an object, with slashes, below the store's root."""
    return f"{OBJECTS}/{digest[:2]}/{digest}"


def manifest_key(fingerprint: str) -> str:
    """Return the name of a manifest below the store's root."""
    return f"{MANIFESTS}/{fingerprint}.json"


def parsed(data: bytes, place: str) -> dict[str, Any]:
    """Return the manifest that ``data`` is.

    Args:
        data: What was read.
        place: Where, for the message.

    Raises:
        CorruptArtifactError: It is no JSON object.
    """
    try:
        manifest = json.loads(data)
    except ValueError as error:
        raise _corrupt(place, str(error)) from error
    if not isinstance(manifest, dict):
        raise _corrupt(place, f"it is a {type(manifest).__name__}, not an object")
    return manifest


def referenced(value: Any) -> Iterator[str]:
    """Yield the digest of every object that a manifest names, however deep."""
    if isinstance(value, Mapping):
        digest = value.get("sha256")
        if "uri" in value and isinstance(digest, str) and _DIGEST.fullmatch(digest):
            yield digest
        for inner in value.values():
            yield from referenced(inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from referenced(inner)


def _corrupt(place: str, reason: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        f"The manifest {place} is corrupt: {reason}. Check the disk and remove it; the step that "
        "it belongs to will then run again."
    )
