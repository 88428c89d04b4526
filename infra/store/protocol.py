"""What steps hand each other, and what every kind of artifact store can do."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from infra.errors import StoreError
from infra.files import Json, canonical_json
from infra.store.inventory import Inventory
from infra.store.registers import Registers

_DIGEST = re.compile(r"[0-9a-f]{64}")


class ArtifactRef(BaseModel):
    """Where an object is and what it must be.  The only thing that steps hand each other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str = Field(description="Place of the object; relative to the root for a folder store")
    sha256: str = Field(description="SHA-256 of its bytes", pattern=r"^[0-9a-f]{64}$")


class Store(Protocol):
    """What every kind of store can do."""

    def put_file(self, path: Path) -> ArtifactRef:
        """Store the bytes of a file.  Storing them again changes nothing."""
        ...

    def put_bytes(self, data: bytes) -> ArtifactRef:
        """Store ``data``.  Storing it again changes nothing."""
        ...

    def open(self, ref: ArtifactRef) -> Path:
        """Return a local path that holds the object, its digest verified."""
        ...

    def find(self, fingerprint: str) -> dict[str, Any] | None:
        """Return the manifest on record under ``fingerprint``, if there is one."""
        ...

    def record(self, fingerprint: str, manifest: Mapping[str, Json]) -> dict[str, Any]:
        """Put ``manifest`` on record unless there is one, and return the one on record."""
        ...

    def replace(self, fingerprint: str, manifest: Mapping[str, Json]) -> None:
        """Put ``manifest`` on record in place of one whose objects are lost or corrupt."""
        ...

    def registers(self) -> Registers:
        """Return the store's registers, which leases are made of."""
        ...

    def inventory(self) -> Inventory:
        """Return the store as who counts and cleans it sees it."""
        ...


def fingerprint(parts: Mapping[str, Json]) -> str:
    """Return the SHA-256 of the canonical JSON of ``parts``: equal inputs, equal fingerprint.

    Raises:
        StoreError: A part is NaN or infinite, which no two runs could be compared by.
    """
    return hashlib.sha256(canonical(parts, "A fingerprint")).hexdigest()


def require_fingerprint(given: str) -> None:
    """Refuse what `fingerprint` cannot have returned.

    Raises:
        StoreError: It is not 64 hexadecimal digits.
    """
    if not _DIGEST.fullmatch(given):
        raise StoreError(
            f"{given!r} is not a fingerprint: give the 64 hexadecimal digits that "
            "infra.store.fingerprint() returns."
        )


def canonical(value: Mapping[str, Json], what: str) -> bytes:
    """Return ``value`` as the bytes that its digest is taken of.

    Raises:
        StoreError: It holds NaN or infinity.
    """
    try:
        return canonical_json(value)
    except ValueError as error:
        raise StoreError(
            f"{what} cannot be written as JSON: {error}. Say None where a number is not finite."
        ) from error
