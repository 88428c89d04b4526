"""Where a run keeps what it makes: the store, and a folder of this machine for everything else.

The store may be a bucket that many machines share.  The workspace never is: scratch files, caches,
answers in work and the records of servers started here are of one machine.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from infra.environment import RUN, WORKSPACE
from infra.s3.address import SCHEME, Service
from infra.store.folder import FolderStore
from infra.store.protocol import Store


class StoreAddress(BaseModel):
    """Which store: a folder, or a bucket of an S3 service.  Keys come from the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str | None = Field(
        default=None,
        min_length=1,
        description="A folder or s3://bucket/prefix; nothing: the folder store of the workspace.",
    )
    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="Address of an S3-compatible service; nothing: AWS_ENDPOINT_URL, or Amazon's.",
    )
    region: str | None = Field(
        default=None, description="Region of the bucket; nothing: AWS_REGION, or the service's."
    )
    checksums: Literal["when_supported", "when_required"] = Field(
        default="when_supported",
        description="When requests carry checksums of their own; some services know none: "
        "when_required.  Digests are verified either way.",
    )

    @property
    def service(self) -> Service:
        """Which S3 service it is on, where it is."""
        return Service(self.endpoint, self.region, self.checksums)

    @property
    def on_s3(self) -> bool:
        """Whether it is a bucket."""
        return self.uri is not None and self.uri.startswith(SCHEME)


class Place(BaseModel):
    """A store, and the folder of this machine that work may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspace: Path = Field(description="Folder of this machine: scratch, caches, servers.")
    store: StoreAddress = Field(
        default=StoreAddress(), description="Where finished work is found again."
    )

    @property
    def local(self) -> Path:
        """The folder of scratch files, caches and answers in work."""
        return self.workspace / "store"

    @classmethod
    def of(cls, workspace: Path, store: StoreAddress) -> Self:
        """Return a place that means the same in every process: its paths are absolute."""
        at = workspace.absolute()
        folder = at / "store" if store.uri is None else Path(store.uri).expanduser().absolute()
        uri = store.uri if store.on_s3 else str(folder)
        return cls(workspace=at, store=store.model_copy(update={"uri": uri}))

    def here(self, environment: Mapping[str, str] = os.environ) -> Self:
        """Return this place as a worker's run sees it, whose machine may use another workspace.

        Who carries out a plan of its own is at home, whatever the environment says: a person who
        names a workspace by a flag means that one.
        """
        own = environment.get(WORKSPACE) if RUN in environment else None
        return self.model_copy(update={"workspace": Path(own)}) if own else self


def open_store(place: Place) -> Store:
    """Open the store of a place.

    Raises:
        BucketError: The bucket cannot be used; its subclasses say why.
        StoreUnfitError: Its service does not keep what conditional writes promise.
    """
    if place.store.on_s3:
        # s3fs takes most of a second to import, and who uses a folder need not wait for it
        from infra.store.opening import open_bucket  # noqa: PLC0415

        return open_bucket(place.store, place.local / "objects")
    return FolderStore(place.local if place.store.uri is None else Path(place.store.uri))
