"""Signatures by a key of one's own, as OpenSSF's `model-signing` makes and verifies them.

`model.sig` is a Sigstore bundle: a list of all files with their SHA-256, signed.  It needs no
network and no service, and ``model_signing verify key`` checks it as well as `verify_signature`
does.  The package is an extra, ``roundhouse[signing]``, and is loaded where a key is named.
"""

import importlib
import stat
from pathlib import Path
from typing import Protocol, cast

from infra.checkpoints.sidefiles import SIGNATURE
from infra.errors import BadSignatureError, SigningError
from infra.files import explaining
from infra.publishing.manifest import Manifest, measure, without

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Signer(Protocol):
    """Signs manifests, and knows its own signatures again."""

    def sign(self, files: Manifest) -> bytes:
        """Return a signature over files."""
        ...

    def vouches(self, signature: bytes, files: Manifest) -> bool:
        """Tell whether a signature is by this signer and over exactly these files."""
        ...


class _OpenSsf(Protocol):
    """What `infra.publishing.openssf` offers, which cannot be imported without the package."""

    def open_key(self, key: Path) -> Signer:
        """Return the signer of a private key."""
        ...

    def fault(self, signature: bytes, files: Manifest, public_key: Path) -> str | None:
        """Tell why a signature is none over these files."""
        ...


def open_signer(key: Path) -> Signer:
    """Return what signs with a private key.

    Args:
        key: An elliptic key (P-256, P-384 or P-521) in a PEM file without a password, which this
            user alone may read.

    Raises:
        SigningError: The package is not installed, or the key cannot be used.
    """
    if not key.is_file():
        raise SigningError(
            f"There is no signing key {key}. Make one with `openssl ecparam -genkey -name "
            f"prime256v1 -noout -out {key}`, or leave the key out to publish unsigned."
        )
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & _OTHERS:
        raise SigningError(
            f"The signing key {key} is not used: its mode is {mode:04o}, so others on this machine "
            f"may have read it. Run `chmod 600 {key}`; if others use this machine, make a new key."
        )
    return _openssf().open_key(key)


def verify_signature(folder: Path, public_key: Path) -> int:
    """Require that a downloaded release is exactly what was signed; nothing is asked of a network.

    Args:
        folder: A release, as ``hf download --local-dir`` or the Hub's cache holds it.
        public_key: The public half of the key, in a PEM file.

    Returns:
        How many files the signature covers.

    Raises:
        BadSignatureError: There is no signature, it is by another key, or over other files.
        SigningError: The package is not installed, or the key cannot be read.
        StorageError: A file cannot be read.
    """
    files = measure(folder, {})
    if SIGNATURE not in files:
        raise BadSignatureError(
            f"{folder} holds no {SIGNATURE}: the release was not signed, or not all of it was "
            "downloaded."
        )
    with explaining(folder, "reading"):
        signature = (folder / SIGNATURE).read_bytes()
    signed = without(files, SIGNATURE)
    if fault := _openssf().fault(signature, signed, public_key):
        raise BadSignatureError(
            f"{folder} is not what the key {public_key} has signed: {fault}. Do not use it; "
            "download it again, and ask who published it for the public key."
        )
    return len(signed)


def _openssf() -> _OpenSsf:
    try:
        return cast("_OpenSsf", importlib.import_module("infra.publishing.openssf"))
    except ImportError as error:
        raise SigningError(
            f"Nothing can be signed or verified: {error}. Install the extra with `pip install "
            "'roundhouse[signing]'`, or leave the key out to publish unsigned."
        ) from error
