"""What is known of the files of a model in a bucket, and its record beside its side files."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from infra.errors import CorruptArtifactError
from infra.files import write_atomically
from infra.models.source import SIDE_FILES, digest_of_files
from infra.s3.address import Seen

RECORD = "{digest}.json"
"""The record's name, beside the folder of side files, which is named by the digest alone."""


class StreamedFile(BaseModel):
    """One file, as it was when the model was found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0, description="Bytes.")
    etag: str = Field(description="The version of the object.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of its bytes.")
    tensors: dict[str, str] = Field(
        default={}, description="SHA-256 of each tensor's bytes, for a weight file."
    )


_FILES = TypeAdapter(dict[str, StreamedFile])


class StreamedFiles(NamedTuple):
    """The files of a model, by name: weights and what is read beside them."""

    files: Mapping[str, StreamedFile]

    @property
    def digest(self) -> str:
        """The digest that the same files in a folder have."""
        return digest_of_files(
            {
                name: (file.size, file.sha256)
                for name, file in self.files.items()
                if file.tensors or is_read(name)
            }
        )

    @property
    def seen(self) -> dict[str, Seen]:
        """Size and version of each."""
        return {name: Seen(file.size, file.etag) for name, file in self.files.items()}

    @property
    def beside(self) -> tuple[str, ...]:
        """Names of the files that hold no weights."""
        return tuple(name for name, file in self.files.items() if not file.tensors)

    @property
    def tensors(self) -> dict[str, str]:
        """SHA-256 of every tensor."""
        return {
            name: sha256 for file in self.files.values() for name, sha256 in file.tensors.items()
        }

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weight files."""
        return sum(file.size for file in self.files.values() if file.tensors)

    def as_bytes(self) -> bytes:
        """Return them as JSON."""
        return _FILES.dump_json(dict(self.files))


def is_read(name: str) -> bool:
    """Whether the pipeline reads a file of this name beside the weights."""
    return any(fnmatchcase(name, pattern) for pattern in SIDE_FILES)


def read_record(path: Path) -> StreamedFiles:
    """Read what `write_record` wrote, or the store holds.

    Raises:
        CorruptArtifactError: It is no such record.
        OSError: It cannot be read.
    """
    try:
        return StreamedFiles(_FILES.validate_json(path.read_bytes()))
    except ValidationError as error:
        raise CorruptArtifactError(
            f"{path} does not tell of a model's files: {error.error_count()} values are wrong. "
            "Remove it; the model is looked at again."
        ) from error


def write_record(path: Path, files: StreamedFiles) -> None:
    """Write the record of a model's files, all of it or nothing.

    Raises:
        StorageError: It cannot be written.
    """
    write_atomically(path, files.as_bytes())


def hash_parts(pieces: Iterable[bytes], ends: Sequence[int]) -> tuple[str, list[str]]:
    """Return the SHA-256 of all ``pieces`` together, and of each part of them.

    Args:
        pieces: The bytes of a file, in order.
        ends: Where each part ends, ascending; the first begins at 0.
    """
    whole, part, position = hashlib.sha256(), hashlib.sha256(), 0
    parts: list[str] = []
    for piece in pieces:
        whole.update(piece)
        rest = memoryview(piece)
        while rest:
            end = ends[len(parts)] if len(parts) < len(ends) else position + len(rest)
            taken, rest = rest[: end - position], rest[end - position :]
            part.update(taken)
            position += len(taken)
            while len(parts) < len(ends) and position == ends[len(parts)]:
                parts.append(part.hexdigest())
                part = hashlib.sha256()
    return whole.hexdigest(), parts
