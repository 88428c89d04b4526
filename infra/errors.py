"""Every error that infra raises on purpose: one page, each with its remedy.

InfraError
├── StorageError                a file or folder cannot be read or written
│   ├── DiskFullError           no room: a full disk, a used-up quota, a file-size limit
│   └── NotWritableError        no permission, a read-only file system, or no folder there
├── StoreError                  the artifact store was asked for something it cannot give
│   ├── MissingArtifactError    no object has this digest
│   └── CorruptArtifactError    an object's bytes no longer have its digest
├── UnknownArchitectureError    a model family that nobody here can read
└── CheckpointError             a checkpoint cannot be written or read as asked
    ├── ExportPlanError         what is to be written does not fit together
    ├── OutputExistsError       the output folder is there already
    └── NotACheckpointError     the folder holds no checkpoint at all

Messages are written where they are raised, as one paragraph: the value, the place, the remedy.
"""


class InfraError(Exception):
    """Base class: catch this to catch anything that infra raises on purpose."""


class StorageError(InfraError):
    """A file or folder cannot be read or written."""


class DiskFullError(StorageError):
    """No room: a full disk, a used-up quota, or a file-size limit."""


class NotWritableError(StorageError):
    """No permission, a read-only file system, or no folder where one is needed."""


class StoreError(InfraError):
    """The artifact store was asked for something it cannot give."""


class MissingArtifactError(StoreError):
    """No object has this digest."""


class CorruptArtifactError(StoreError):
    """An object's bytes no longer have its digest."""


class CheckpointError(InfraError):
    """A checkpoint cannot be written or read as asked."""


class ExportPlanError(CheckpointError, ValueError):
    """What is to be written does not fit together."""


class OutputExistsError(CheckpointError):
    """The output folder is there already, or is being written by another run."""


class NotACheckpointError(CheckpointError):
    """The folder holds no checkpoint at all."""


class UnknownArchitectureError(InfraError, ValueError):
    """A model family that nobody here can read."""

    def __init__(self, *, name: str, known: list[str]) -> None:
        """Name the family and the ones that are known."""
        super().__init__(
            f"The architecture {name!r} in config.json is not one that can be quantized here. "
            f"Known: {', '.join(known)}. A new family needs an adapter beside "
            "infra/models/qwen2_vl.py."
        )
