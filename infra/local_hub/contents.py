"""The contents that a commit's large files need: here already, or brought from their chunks."""

from infra.local_hub import xet
from infra.local_hub.commits import LargeFile, LargeFileLine, Proposal
from infra.local_hub.largefiles import Pointer, content_path, has_content
from infra.local_hub.refusals import Refusal, too_large
from infra.local_hub.repository import Repository
from infra.local_hub.state import Hub


def gather(hub: Hub, repository: Repository, proposal: Proposal) -> None:
    """Bring what the client has stored in chunks, before the repository is locked.

    Raises:
        Refusal: A file is larger than the Hub takes, or its chunks give something else.
        StorageError: It cannot be written.
    """
    large = (line.value for line in proposal.operations if isinstance(line, LargeFileLine))
    missing = [
        Pointer(file.oid, file.size)
        for file in large
        if file.size is not None
        and not has_content(repository.folder, Pointer(file.oid, file.size))
    ]
    hashes = xet.index(hub.root) if missing else {}
    for pointer in missing:
        if pointer.size > hub.settings.max_lfs_bytes:
            raise too_large(f"The file {pointer.oid}", hub.settings.max_lfs_bytes)
        if pointer.oid in hashes:
            xet.bring(hub.root, repository.folder, pointer, hashes[pointer.oid])


def size_of(repository: Repository, file: LargeFile) -> int:
    """Return the size of a large file whose content the repository has.

    Raises:
        Refusal: It has none of this digest, or of another size.
    """
    try:
        size = content_path(repository.folder, file.oid).stat().st_size
    except OSError:
        raise Refusal(
            400, f"LFS pointer pointed to a file that does not exist: {file.path}"
        ) from None
    if file.size is not None and file.size != size:
        raise Refusal(400, f"{file.path} has {size} bytes, and not {file.size}.")
    return size
