"""Whether a store is sound: every object is read, and every name that a manifest names is found."""

from typing import NamedTuple

from infra.errors import CorruptArtifactError
from infra.store.inventory import Inventory, Kept, Paper
from infra.store.manifests import parsed, referenced


class Findings(NamedTuple):
    """What an audit found.  Orphans are no damage: their work was not finished, or recorded."""

    objects: int
    bytes: int
    manifests: int
    corrupt: tuple[str, ...]  # what is wrong, a sentence each
    missing: tuple[str, ...]  # as above
    orphans: tuple[Kept, ...]

    @property
    def sound(self) -> bool:
        """Whether everything that is on record can be had."""
        return not self.corrupt and not self.missing


def audit(inventory: Inventory) -> Findings:
    """Read a whole store.

    Raises:
        StorageError: It cannot be read.
        StoreError: As above.
    """
    objects = tuple(inventory.objects())
    papers = tuple(inventory.manifests())
    corrupt = [fault for kept in objects if (fault := _fault(inventory, kept.digest))]
    named: dict[str, str] = {}
    for paper in papers:
        try:
            named |= dict.fromkeys(referenced(parsed(paper.data, paper.place)), paper.place)
        except CorruptArtifactError as error:
            corrupt.append(str(error))
    known = {kept.digest for kept in objects}
    missing = [
        f"{inventory.where(digest)} is missing: {place} names it"
        for digest, place in sorted(named.items())
        if digest not in known and inventory.look(digest) is None
    ]
    return Findings(
        objects=len(objects),
        bytes=sum(kept.size for kept in objects),
        manifests=len(papers),
        corrupt=tuple(corrupt),
        missing=tuple(missing),
        orphans=tuple(kept for kept in objects if kept.digest not in named),
    )


def named_by(papers: tuple[Paper, ...]) -> frozenset[str]:
    """Return the digests of all objects that manifests name.

    Raises:
        CorruptArtifactError: A manifest cannot be read, so nobody knows what it names.
    """
    return frozenset(
        digest for paper in papers for digest in referenced(parsed(paper.data, paper.place))
    )


def _fault(inventory: Inventory, digest: str) -> str | None:
    found = inventory.read(digest)
    if found is None or found == digest:  # None: it was removed since it was listed
        return None
    return f"{inventory.where(digest)} is corrupt: its bytes have the SHA-256 {found}"
