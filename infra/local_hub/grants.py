"""Upload addresses: good for one large file of one repository, and for some hours.

Whoever uploads shows no token, as with huggingface.co, where the address is another server's.  So
the address itself carries what it is good for, and a signature that only this Hub can make.  The
key is a file beside the data, so that addresses outlive a restart and any server over the same
folder knows them.
"""

import base64
import fcntl
import hashlib
import hmac
import secrets
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.files import explaining, write_private
from infra.local_hub.largefiles import Pointer
from infra.local_hub.refusals import Refusal

KEY_BYTES = 32


class Grant(BaseModel):
    """What an upload address is good for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    namespace: str
    name: str
    oid: str
    size: int
    part_bytes: int
    upload: str  # names the folder of its parts
    until: int  # seconds of Unix time

    @property
    def pointer(self) -> Pointer:
        """The large file that may be uploaded."""
        return Pointer(self.oid, self.size)


def signing_key(root: Path) -> bytes:
    """Return the Hub's key; the first to ask makes it.

    Raises:
        StorageError: It cannot be read or written.
    """
    path = root / "upload.key"
    with explaining(path, "making"), path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two servers that start at once, one makes it
        if not path.exists():
            write_private(path, secrets.token_bytes(KEY_BYTES))
        return path.read_bytes()


def sign(grant: Grant, key: bytes) -> str:
    """Return a grant as one word for an address."""
    body = grant.model_dump_json().encode()
    return f"{_word(body)}.{_word(_signature(body, key))}"


def read(word: str, key: bytes) -> Grant:
    """Return the grant of an address.

    Raises:
        Refusal: This Hub has not signed it, or its time is over.
    """
    try:
        body, signature = (_bytes(part) for part in word.split("."))
        if not hmac.compare_digest(signature, _signature(body, key)):
            raise _refused()
        grant = Grant.model_validate_json(body)
    except (ValueError, ValidationError):
        raise _refused() from None
    if grant.until < time.time():
        raise Refusal(403, "This upload address is no longer good. Ask for a new one.")
    return grant


def _refused() -> Refusal:
    return Refusal(403, "This upload address is none of this Hub's.")


def _signature(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)


def _word(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(word: str) -> bytes:
    return base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
