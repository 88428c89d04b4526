"""Which model a run is about: a folder or a repository, its commit, and a digest of its content.

What is learned from a model is worth keeping only while the model is the same, so every step's
fingerprint starts from `ModelSource.digest`.  It covers everything that the pipeline reads, names
and contents, and nothing else: not where the folder is, not when it was written, not its README.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from infra.errors import (
    CorruptShardError,
    FolderRevisionError,
    ModelConfigError,
    ModelNotFoundError,
)
from infra.files import Json, canonical_json, explaining, sha256_of
from infra.models.download import download
from infra.models.tensors import TensorIndex
from infra.store.place import StoreAddress

CONFIG_FILE = "config.json"
SIDE_FILES = ("*.json", "*.txt", "*.jinja", "*.model")
"""What is read beside the weights: configurations, tokenizer, chat format, image processor."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_READERS = 4  # hashing is bound by the disk or by one core a file


class ModelSource(BaseModel):
    """A model at one state, with its files on this machine; its weights may be in a bucket."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path = Field(description="The folder of its files, absolute.")
    weights: StoreAddress | None = Field(
        default=None,
        description="The bucket that its weights are streamed from; none: they are in the folder.",
    )
    repo_id: str | None = Field(default=None, description="Its repository; none for a folder.")
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = Field(
        default=None, description="The commit that its files are of; none for a folder."
    )
    digest: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of names, sizes and contents of all files that the pipeline reads.",
    )


def resolve(model: str, revision: str | None = None) -> ModelSource:
    """Find a model, fetch it where it is not here, check its weights' headers and hash its files.

    A folder of that name wins over a repository.  A revision is turned into its commit once, here.

    Args:
        model: A folder, or a repository of the Hub as in ``Qwen/Qwen2-VL-7B-Instruct``.
        revision: A branch, a tag or a commit of the repository; None for its default branch.

    Raises:
        FolderRevisionError: A revision of a folder.
        ModelNotFoundError: Neither a folder nor a repository that this token may read.
        UnknownRevisionError: The repository has no such revision.
        HubUnreachableError: The Hub does not answer, and the cache does not hold the model.
        ModelConfigError: There is no config.json, or it cannot be read.
        WeightsError: There are no sound weights; a class below it says what is wrong.
        StorageError: A file cannot be read or written.
    """
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        if revision is not None:
            raise FolderRevisionError(
                f"revision={revision!r} was asked of {folder.resolve()}, which is a folder and has "
                "no revisions. Leave the revision out, or name a repository of the Hub instead."
            )
        return ModelSource(path=folder.resolve(), digest=digest_of(folder))
    _require_repository_name(model, folder)
    snapshot = download(model, revision)
    return ModelSource(
        path=snapshot.folder.absolute(),
        repo_id=model,
        commit=snapshot.commit,
        digest=digest_of(snapshot.folder),
    )


def digest_of(folder: Path) -> str:
    """Return the digest of a model folder: of its weight files and `SIDE_FILES`.

    Files are read in pieces, so memory stays small whatever their size.

    Raises:
        ModelConfigError: There is no config.json, or it cannot be read.
        WeightsError: There are no sound weights, or a fetched file is not what the Hub announced.
        StorageError: A file cannot be read.
    """
    read_config(folder)
    names = set(TensorIndex.open(folder).shards())
    for pattern in SIDE_FILES:
        names |= {path.name for path in folder.glob(pattern) if path.is_file()}
    order = sorted(names)
    with ThreadPoolExecutor(_READERS) as pool:
        hashes = pool.map(_hash, (folder / name for name in order))
        return digest_of_files(
            {
                name: ((folder / name).stat().st_size, sha256)
                for name, sha256 in zip(order, hashes, strict=True)
            }
        )


def digest_of_files(files: Mapping[str, tuple[int, str]]) -> str:
    """Return the digest of a model whose files have these sizes and SHA-256, by their names."""
    content: Json = {
        name: {"size": size, "sha256": sha256} for name, (size, sha256) in files.items()
    }
    return hashlib.sha256(canonical_json(content)).hexdigest()


def read_config(folder: Path) -> dict[str, Any]:
    """Return what a model folder's config.json says.

    Raises:
        ModelConfigError: It is not there, or no JSON object.
        StorageError: It cannot be read.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise ModelConfigError(
            f"{folder} holds no {CONFIG_FILE}, so it is no model folder. Name the folder that "
            "holds config.json and the safetensors weights, as the Hub lays them out."
        )
    with explaining(path, "reading"):
        data = path.read_bytes()
    try:
        config = json.loads(data)
    except ValueError as error:
        raise ModelConfigError(
            f"{path} is no JSON ({error}). Fetch it again from where the model came."
        ) from error
    if not isinstance(config, dict):
        raise ModelConfigError(
            f"{path} holds a JSON {type(config).__name__}, not an object. "
            "Fetch it again from where the model came."
        )
    return config


def _require_repository_name(model: str, folder: Path) -> None:
    """Refuse what can only have been meant as a folder before the Hub is asked."""
    if model and model[0] not in "./~" and model.count("/") <= 1 and not folder.exists():
        return
    found = f"{folder} is a file" if folder.is_file() else "there is no folder of that name"
    raise ModelNotFoundError(
        f"No model {model!r}: {found} (looked from {Path.cwd()}). Name the folder that holds "
        "config.json and the weights, or a repository of the Hub as owner/name."
    )


def _hash(path: Path) -> str:
    """Hash one file; the Hub's cache names large files by their SHA-256, which must be kept.

    The Hub's client checks the size of what it has fetched, and never the content.
    """
    with explaining(path, "reading"):
        sha256 = sha256_of(path)
        blob = path.resolve()
    if path.is_symlink() and _SHA256.fullmatch(blob.name) and blob.name != sha256:
        raise CorruptShardError(
            f"{path.name} in {path.parent} has SHA-256 {sha256}, but the Hub announced "
            f"{blob.name}: the download was damaged. Delete {blob} and run again, which fetches "
            "it anew."
        )
    return sha256
