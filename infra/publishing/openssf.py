"""The one page that knows OpenSSF's package `model-signing`.

It would read and hash all files itself.  Publishing knows their digests already, so it is handed
these: a release of many gigabytes is signed at once.
"""

import base64
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from model_signing import hashing, manifest, signing, verifying
from model_signing._hashing.hashing import Digest  # not public, but the only word for a digest

from infra.checkpoints.sidefiles import BROUGHT_ALONG, SIGNATURE
from infra.errors import SigningError
from infra.publishing.manifest import Manifest

_NO_SIGNATURE = (ValueError, KeyError, TypeError, AttributeError, InvalidSignature)
_NO_KEY = (OSError, ValueError, TypeError, UnsupportedAlgorithm)


class _Known(hashing.Config):
    """Digests that are known, where the package would read files."""

    def __init__(self, files: Manifest) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._files = files

    def hash(
        self,
        model_path: hashing.PathLike,  # noqa: ARG002 -- as inherited
        *,
        files_to_hash: Iterable[hashing.PathLike] | None = None,  # noqa: ARG002 -- as inherited
    ) -> manifest.Manifest:
        """Return them."""
        told = {
            "method": "files",
            "hash_type": "sha256",
            "allow_symlinks": False,
            "ignore_paths": [SIGNATURE, *BROUGHT_ALONG],
        }
        items = [
            manifest.FileManifestItem(
                path=PurePosixPath(path), digest=Digest("sha256", bytes.fromhex(file.sha256))
            )
            for path, file in self._files.items()
        ]
        return manifest.Manifest("release", items, manifest.SerializationType.from_args(told))


class KeySigner:
    """Signs with one private key, and verifies with its public half."""

    def __init__(self, key: Path, config: signing.Config, public: bytes) -> None:
        self._key, self._config, self._public = key, config, public

    def __repr__(self) -> str:
        """Tell which key it is, and nothing of it."""
        return f"KeySigner({self._key})"

    def sign(self, files: Manifest) -> bytes:
        """Return a signature over files."""
        with tempfile.TemporaryDirectory(prefix="roundhouse-") as folder:
            signature = Path(folder, SIGNATURE)
            self._config.set_hashing_config(_Known(files)).sign(folder, signature)
            return signature.read_bytes()

    def vouches(self, signature: bytes, files: Manifest) -> bool:
        """Tell whether a signature is by this key and over exactly these files."""
        with tempfile.TemporaryDirectory(prefix="roundhouse-") as folder:
            public = Path(folder, "public.pem")
            public.write_bytes(self._public)
            return fault(signature, files, public) is None


def open_key(key: Path) -> KeySigner:
    """Return the signer of a private key.

    Raises:
        SigningError: It is no elliptic key of a known curve, or has a password.
    """
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=key)
        private = load_pem_private_key(key.read_bytes(), None)
    except (*_NO_KEY, AttributeError) as error:
        raise SigningError(
            f"The signing key {key} cannot be used: {error}. It must be an elliptic key (P-256, "
            "P-384 or P-521) in PEM, without a password."
        ) from error
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return KeySigner(key, config, public)


def fault(signature: bytes, files: Manifest, public_key: Path) -> str | None:
    """Tell why a signature is none by this key over exactly these files; None if it is one.

    Raises:
        SigningError: The public key cannot be read.
    """
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except (*_NO_KEY, AttributeError) as error:
        raise SigningError(
            f"The public key {public_key} cannot be used: {error}. It must be the public half of "
            "an elliptic key in PEM, as `openssl ec -pubout` writes it."
        ) from error
    with tempfile.TemporaryDirectory(prefix="roundhouse-") as folder:
        path = Path(folder, SIGNATURE)
        path.write_bytes(signature)
        try:
            config.set_hashing_config(_Known(files)).verify(Path(folder), path)
        except InvalidSignature:
            return "the signature was not made by this key"
        except _NO_SIGNATURE as error:
            if str(error).startswith("Signature mismatch"):  # so it is by this key
                return "; ".join(_differing(signature, files))
            return " ".join(str(error).split()) or type(error).__name__
    return None


def _differing(signature: bytes, files: Manifest) -> Iterator[str]:
    """Tell in what files differ from those that were signed: the package shows raw bytes."""
    payload = base64.b64decode(json.loads(signature)["dsseEnvelope"]["payload"])
    listed = json.loads(payload)["predicate"]["resources"]
    signed = {str(file["name"]): str(file["digest"]) for file in listed}
    yield from (f"{path} is missing" for path in sorted(signed.keys() - files.keys()))
    yield from (f"{path} was not signed" for path in sorted(files.keys() - signed.keys()))
    yield from (
        f"{path} has other content"
        for path in sorted(files.keys() & signed.keys())
        if files[path].sha256 != signed[path]
    )
