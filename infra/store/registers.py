"""Registers: small contents that several machines change, one at a time, by comparing first.

They are what leases are made of.  A change that names another version than the one there is
refused, so of two that start from one version only one goes through.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from infra.files import explaining, make_folder, write_atomically


class Content(NamedTuple):
    """What a register holds, and which version of it that is."""

    data: bytes
    version: str


class Registers(Protocol):
    """Registers of a store.  Contents must differ from one another, as with a number in them.

    All of these raise what the store raises.
    """

    def read(self, name: str) -> Content | None:
        """Return what a register holds; None: it was never written."""
        ...

    def create(self, name: str, data: bytes) -> str | None:
        """Write a register that was never written; return the version, None if it was."""
        ...

    def swap(self, name: str, data: bytes, version: str) -> str | None:
        """Write a register that holds ``version``; return the new one, None if it holds another."""
        ...


class FolderRegisters:
    """Registers in a folder, local or shared.

    A change is made under a lock of the operating system that lasts for the moment of the change
    and ends with its process.  A shared file system must know such locks (`flock`) across machines,
    as NFS 4 does.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> Content | None:
        """Return what a register holds.

        Raises:
            StorageError: It cannot be read.
        """
        path = self._path(name)
        with explaining(path, "reading"):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        return Content(data, _version(data))

    def create(self, name: str, data: bytes) -> str | None:
        """Write a register that was never written.

        Raises:
            StorageError: It cannot be written.
        """
        return self._write(name, data, None)

    def swap(self, name: str, data: bytes, version: str) -> str | None:
        """Write a register that holds ``version``.

        Raises:
            StorageError: It cannot be written.
        """
        return self._write(name, data, version)

    def _write(self, name: str, data: bytes, version: str | None) -> str | None:
        with self._locked(name):
            held = self.read(name)
            if (None if held is None else held.version) != version:
                return None
            write_atomically(self._path(name), data)
        return _version(data)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        make_folder(self.folder)
        path = self.folder / f"{name}.lock"
        with explaining(path, "locking"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with explaining(path, "locking"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
