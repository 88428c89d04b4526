"""The client's default way of sending large files, for clients on this machine.

The client cuts files into chunks, stores each chunk once, and sends them to a server of its own
protocol (hf_xet, in Rust).  It also speaks to a folder, by addresses as ``local:///a/folder``, and
that is what it is given here: chunks, deduplication and resuming are the client's own code, without
that server.  A folder can only be written by a client on this machine whom the system lets, so
others are refused, and told how to send files otherwise.

The commit names a file by its SHA-256 alone.  Which chunks that file has is read from the shards
that the client registers: a header and then records of 48 bytes, file by file, until one that is
all ones.
"""

import ipaddress
import secrets
import struct
import time
from pathlib import Path
from typing import NamedTuple

from infra.files import atomic_path, explaining, make_folder
from infra.local_hub.largefiles import Pointer, adopt

TOKEN_SECONDS = 900
RECORD = 48
HASH = 32
END = b"\xff" * HASH
_HAS_VERIFICATION, _HAS_METADATA = 1 << 31, 1 << 30


class Connection(NamedTuple):
    """Where a client may store chunks, and for how long."""

    url: str
    token: str
    until: int


def connection(root: Path) -> Connection:
    """Return where clients on this machine store chunks."""
    folder = _folder(root)
    make_folder(folder)
    return Connection(f"local://{folder}", secrets.token_hex(8), int(time.time()) + TOKEN_SECONDS)


def is_this_machine(host: str | None) -> bool:
    """Whether a client's address is loopback."""
    try:
        return host is not None and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def index(root: Path) -> dict[str, str]:
    """Return which xet hash each stored file has, by its SHA-256.

    Raises:
        StorageError: The shards cannot be read.
    """
    found: dict[str, str] = {}
    for shard in (_folder(root) / "xet" / "xorbs" / "shards").glob("*.mdb"):
        with explaining(shard, "reading"):
            found |= _files_of(shard.read_bytes())
    return found


def bring(root: Path, repository: Path, pointer: Pointer, xet_hash: str) -> None:
    """Put a file together from its chunks, into a repository.

    Raises:
        Refusal: What its chunks give is something else.
        StorageError: It cannot be written.
    """
    import hf_xet  # noqa: PLC0415 -- only for those who use it

    received = root / "tmp" / f"xet-{secrets.token_hex(8)}"
    make_folder(received.parent)
    with explaining(received, "writing"):
        try:
            session = hf_xet.XetSession()
            with session.new_file_download_group(endpoint=f"local://{_folder(root)}") as group:
                info = hf_xet.XetFileInfo(xet_hash, pointer.size)
                group.start_download_file(info, str(received))
            adopt(repository, pointer, received)
        finally:
            received.unlink(missing_ok=True)
    note = _note(repository, pointer.oid)
    with explaining(note, "writing"):
        note.parent.mkdir(exist_ok=True)
    with atomic_path(note) as temporary:
        temporary.write_text(xet_hash)


def hash_of(repository: Path, oid: str) -> str | None:
    """Return the xet hash of a large file that came in chunks."""
    path = _note(repository, oid)
    with explaining(path, "reading"):
        return path.read_text() if path.is_file() else None


def _note(repository: Path, oid: str) -> Path:
    return repository / "hub" / "xet" / oid


def _folder(root: Path) -> Path:
    return root / "xet"


def _files_of(shard: bytes) -> dict[str, str]:
    """Return the xet hash of each file of a shard, by SHA-256."""
    found: dict[str, str] = {}
    at = RECORD  # behind the header
    while at + RECORD <= len(shard) and shard[at : at + HASH] != END:
        flags, count = struct.unpack_from("<II", shard, at + HASH)
        records = count * (2 if flags & _HAS_VERIFICATION else 1)
        metadata = at + RECORD * (1 + records)
        if flags & _HAS_METADATA:
            found[_hex(shard[metadata : metadata + HASH])] = _hex(shard[at : at + HASH])
            records += 1
        at += RECORD * (1 + records)
    return found


def _hex(data: bytes) -> str:
    """Return a hash as xet writes it: four words, each with its last byte first."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", data))
