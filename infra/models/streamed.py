"""A model in a bucket: its digest is taken once, and its small files are brought here.

The digest is that of the same files in a folder, so work that was done from a folder is found again
from a bucket.  It costs one reading of all weights, and is kept in the artifact store under the
address, sizes and ETags of all files.  That is safe: a service gives an object that is written anew
another ETag unless its content is the same; and should one break this rule, the digest of every
tensor, kept with it, is held against the bytes whenever a tensor is read.
"""

import hashlib
from fnmatch import fnmatchcase
from pathlib import Path

from infra.errors import (
    CorruptArtifactError,
    CorruptShardError,
    MissingArtifactError,
    ModelConfigError,
    ModelNotFoundError,
)
from infra.files import Json, explaining, sha256_of, write_atomically
from infra.models.bucket import BucketReader
from infra.models.download import WANTED
from infra.models.shards import read_header
from infra.models.source import CONFIG_FILE, ModelSource, read_config
from infra.models.streamedfiles import (
    RECORD,
    StreamedFile,
    StreamedFiles,
    hash_parts,
    read_record,
    write_record,
)
from infra.models.tensors import TensorIndex
from infra.s3.address import Object, Seen, Service, quoted, split
from infra.s3.client import FIRST_PATIENCE, S3
from infra.store import ArtifactRef, Place, Store, StoreAddress, fingerprint, open_store

_SAFETENSORS = "*.safetensors"


def find_streamed(address: StoreAddress, place: Place) -> ModelSource:
    """Find a model in a bucket, check its weights' headers, and bring what is read beside them.

    Args:
        address: Its prefix, and the service.
        place: Where its digest is kept, and its small files go.

    Raises:
        ModelNotFoundError: There is nothing below this prefix.
        ModelConfigError: There is no config.json, or it cannot be read.
        WeightsError: There are no sound weights, or they are replaced at this moment.
        BucketError: No such bucket, no permission, or the service does not answer.
        StoreError: The artifact store cannot be used.
        StorageError: A file cannot be written.
    """
    s3, prefix = S3(_service(address)), split(str(address.uri))
    reader = BucketReader(s3, prefix, _list(s3.waiting(FIRST_PATIENCE), prefix))
    files = _known(open_store(place), reader, s3.service)
    folder = folder_of(files.digest, place)
    _bring(reader, files, folder)
    read_config(folder)
    write_record(record_of(folder), files)
    return ModelSource(path=folder.absolute(), weights=address, digest=files.digest)


def open_streamed(source: ModelSource, address: StoreAddress) -> TensorIndex:
    """Open the weights of a model that `find_streamed` found on this machine.

    Raises:
        WeightsError: A weight file is another one by now, or gone.
        BucketError: The service does not give it.
        StorageError: What is known of its files cannot be read.
    """
    with explaining(record_of(source.path), "reading"):
        files = read_record(record_of(source.path))
    reader = BucketReader(S3(_service(address)), split(str(address.uri)), files.seen)
    return TensorIndex.open(source.path, reader=reader, digests=files.tensors)


def folder_of(digest: str, place: Place) -> Path:
    """Return where the small files of a streamed model are on this machine."""
    return place.local / "models" / digest


def record_of(folder: Path) -> Path:
    """Return where it is written what is known of the files of a streamed model."""
    return folder.with_name(RECORD.format(digest=folder.name))


def _service(address: StoreAddress) -> Service:
    return Service(address.endpoint, address.region, address.checksums)


def _list(s3: S3, prefix: Object) -> dict[str, Seen]:
    """Return the model's files below a prefix, not those of folders in it."""
    try:
        found = s3.ask(
            prefix.uri, "listing", lambda files: files.ls(prefix.uri, detail=True, refresh=True)
        )
    except FileNotFoundError:
        s3.require_bucket(prefix)
        found = []
    names = ((each["name"].rpartition("/")[2], each) for each in found if each["type"] == "file")
    seen = {
        name: Seen(each["size"], quoted(each["ETag"]))
        for name, each in sorted(names, key=lambda pair: pair[0])
        if any(fnmatchcase(name, pattern) for pattern in WANTED)
    }
    if not seen:
        raise ModelNotFoundError(
            f"There is no model at {prefix.uri} of {s3.service.address()}: no file below it is "
            "one of a model. Check bucket, prefix and endpoint; config.json and the safetensors "
            "weights must lie there as the Hub lays them out."
        )
    if CONFIG_FILE not in seen:
        raise ModelConfigError(
            f"{prefix.uri} holds no {CONFIG_FILE}, so it is no model. Name the prefix right above "
            "config.json and the safetensors weights."
        )
    return seen


def _known(store: Store, reader: BucketReader, service: Service) -> StreamedFiles:
    """Return what the store knows of files at these versions, or look at them and tell it."""
    key = fingerprint(
        {
            "step": "model-digest",
            "service": service.address(),
            "uri": reader.place(),
            "files": {name: [seen.size, seen.etag] for name, seen in reader.seen.items()},
        }
    )
    on_record = store.find(key)
    if on_record is not None:
        try:
            return read_record(store.open(ArtifactRef.model_validate(on_record["files"])))
        except (CorruptArtifactError, MissingArtifactError):
            pass  # looked at again; the same content mends the object
    files = _looked_at(reader)
    ref = store.put_bytes(files.as_bytes())
    told: dict[str, Json] = {"files": ref.model_dump(mode="json"), "digest": files.digest}
    (store.record if on_record is None else store.replace)(key, told)
    return files


def _looked_at(reader: BucketReader) -> StreamedFiles:
    """Read all files once, and hash them and their tensors."""
    index = TensorIndex.open(Path(reader.place()), reader=reader)
    shards = index.shards()
    wanted = [name for name in reader.seen if name in shards or not fnmatchcase(name, _SAFETENSORS)]
    return StreamedFiles({name: _hashed(reader, name, shards.get(name)) for name in wanted})


def _hashed(reader: BucketReader, name: str, tensors: tuple[str, ...] | None) -> StreamedFile:
    """Hash a file, and the tensors in it where it is a weight file."""
    seen = reader.seen[name]
    places = {} if tensors is None else read_header(reader, name)
    first = min((place.start for place in places.values()), default=seen.size)
    ends = [first, *(place.start + place.nbytes for place in places.values())]
    sha256, parts = hash_parts(reader.stream(name, 0, seen.size), ends)
    sums = dict(zip(places, parts[1:], strict=True))
    return StreamedFile(
        size=seen.size,
        etag=seen.etag,
        sha256=sha256,
        tensors={tensor: sums[tensor] for tensor in tensors or ()},
    )


def _bring(reader: BucketReader, files: StreamedFiles, folder: Path) -> None:
    """Fetch the files beside the weights, unless they are here."""
    for name in files.beside:
        path, wanted = folder / name, files.files[name]
        with explaining(path, "reading"):
            if path.is_file() and sha256_of(path) == wanted.sha256:
                continue
        data = b"".join(reader.stream(name, 0, wanted.size))
        if hashlib.sha256(data).hexdigest() != wanted.sha256:
            raise CorruptShardError(
                f"{name} in {reader.place()} is not what it was when the model was found, though "
                "the service gives it the same ETag. Store that file anew."
            )
        write_atomically(path, data)
