"""Find a model wherever it is, open its weights, and have it present on the machine that works.

What another machine has found is a folder there.  Here its files are fetched by what names them for
everybody, a commit or a bucket; and a folder of the same name is only taken for the same model when
it has the same digest, because what is learned from it goes into a store that all machines share.
"""

import platform
from pathlib import Path

from infra.errors import AbsentModelError, FolderRevisionError
from infra.files import Json, explaining, write_atomically
from infra.models.download import download
from infra.models.source import ModelSource, digest_of, resolve
from infra.models.streamed import find_streamed, folder_of, open_streamed, record_of
from infra.models.streamedfiles import read_record
from infra.models.tensors import TensorIndex
from infra.s3.address import SCHEME
from infra.store import Place, fingerprint


def find(model: str, revision: str | None, place: Place) -> ModelSource:
    """Find a model: a folder, a repository of the Hub, or ``s3://bucket/prefix``.

    Args:
        model: Its name; a bucket is one of the service that the place's store names, if any.
        revision: A branch, a tag or a commit, for a repository.
        place: Where the digest of a model in a bucket is kept, and its small files go.

    Raises:
        FolderRevisionError: A revision of a folder or a bucket.
        ModelError: There is no such model, or it cannot be read; a class below it says why.
        StoreError: The bucket or the artifact store cannot be used.
        StorageError: A file cannot be read or written.
    """
    if not model.startswith(SCHEME):
        source = resolve(model, revision)
        _remember(source, place)
        return source
    if revision is not None:
        raise FolderRevisionError(
            f"revision={revision!r} was asked of {model}, and a bucket has no revisions. Leave the "
            "revision out, and keep each version of a model under a prefix of its own."
        )
    address = place.store.model_copy(update={"uri": model.rstrip("/")})
    return find_streamed(address, place)


def open_tensors(source: ModelSource) -> TensorIndex:
    """Open a model's weights, in its folder or in its bucket; nothing but headers is read.

    Raises:
        WeightsError: They are missing, damaged, or other ones than when the model was found.
        BucketError: The service does not give them.
        StorageError: A file cannot be read.
    """
    if source.weights is None:
        return TensorIndex.open(source.path)
    return open_streamed(source, source.weights)


def weight_bytes(source: ModelSource) -> int:
    """Return the bytes of a model's safetensors files.

    Raises:
        StorageError: A file cannot be looked at.
    """
    with explaining(source.path, "reading"):
        if source.weights is not None:
            return read_record(record_of(source.path)).weight_bytes
        return sum(path.stat().st_size for path in source.path.glob("*.safetensors"))


def present(source: ModelSource, place: Place) -> ModelSource:
    """Return the same model as it is on this machine, fetched where it is not here.

    Args:
        source: What this machine or another one has found.
        place: Of this machine.

    Raises:
        AbsentModelError: It is a folder that is not here, or holds another model here.
        ModelError: It cannot be fetched.
        StoreError: The bucket or the artifact store cannot be used.
        StorageError: A file cannot be read or written.
    """
    if source.weights is not None:
        folder = folder_of(source.digest, place)
        if record_of(folder).is_file():
            return source.model_copy(update={"path": folder.absolute()})
        return _same(source, find_streamed(source.weights, place))
    if source.path.is_dir():
        return _same(source, _looked_at(source, place))
    if source.repo_id is None or source.commit is None:
        raise AbsentModelError(
            f"{source.path} is not on this machine ({platform.node()}). Where several machines "
            "work on one run, name the model by its repository on the Hub or by s3://, or mount "
            "its folder, and that of the exports, at the same path on each."
        )
    folder = download(source.repo_id, source.commit).folder.absolute()
    return _same(source, _looked_at(source.model_copy(update={"path": folder}), place))


def _same(wanted: ModelSource, here: ModelSource) -> ModelSource:
    if wanted.digest != here.digest:
        raise AbsentModelError(
            f"{here.weights.uri if here.weights else here.path}, as this machine "
            f"({platform.node()}) sees it, is another model than the one that the run is about: "
            f"digest {here.digest[:12]} and not {wanted.digest[:12]}. Bring the same files there, "
            "or start the run anew."
        )
    return here


def _looked_at(source: ModelSource, place: Place) -> ModelSource:
    """Return a folder's model with the digest that it has here; files as they were are not read."""
    known = _memory(source.path, place)
    with explaining(known, "reading"):
        told = known.read_text(encoding="ascii").strip() if known.is_file() else ""
    here = source.model_copy(update={"digest": told or digest_of(source.path)})
    if not told:
        _remember(here, place)
    return here


def _remember(source: ModelSource, place: Place) -> None:
    """Keep the digest of a folder for as long as none of its files is touched."""
    write_atomically(_memory(source.path, place), source.digest.encode())


def _memory(folder: Path, place: Place) -> Path:
    with explaining(folder, "reading"):
        stats = {path.name: path.stat() for path in folder.iterdir() if path.is_file()}
    files: Json = {
        name: [stat.st_size, stat.st_mtime_ns, stat.st_ino] for name, stat in stats.items()
    }
    looks = fingerprint({"folder": str(folder.absolute()), "files": files})
    return place.local / "models" / "seen" / looks
