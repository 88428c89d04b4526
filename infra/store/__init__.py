"""The artifact store: what steps hand each other, found again by content and by fingerprint.

Two kinds do the same: a folder (`folder`) and a bucket of an S3 service (`s3`).  Which one a run
uses is one line of its recipe; `place` opens it.
"""

from infra.store.folder import FolderStore
from infra.store.place import Place, StoreAddress, open_store
from infra.store.protocol import ArtifactRef, Store, fingerprint

__all__ = [
    "ArtifactRef",
    "FolderStore",
    "Place",
    "Store",
    "StoreAddress",
    "fingerprint",
    "open_store",
]
