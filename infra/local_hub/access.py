"""Who may do what: tokens, of which the disk knows only the SHA-256.

    root/tokens/<SHA-256 of the token>.json      user, organizations, role

A token is 192 random bits, so a plain hash of it cannot be guessed back.  One file a token: issuing
and revoking need no restart, and two servers over one folder agree.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import HubNameError
from infra.files import explaining, make_folder, write_private
from infra.local_hub.names import is_namespace
from infra.local_hub.refusals import BAD_TOKEN, NO_TOKEN, READ_TOKEN, Refusal

Role = Literal["read", "write"]
EVERYWHERE = "*"
"""As an organization: this user may use every namespace, as the owner of a workspace may."""


class Caller(BaseModel):
    """Whoever has a valid token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the token.")
    user: str
    orgs: tuple[str, ...] = ()
    role: Role = "read"
    issued: int = Field(default=0, description="When, in seconds of Unix time.")

    def belongs_to(self, namespace: str) -> bool:
        """Whether repositories of this namespace are the caller's own or their organization's."""
        return namespace == self.user or namespace in self.orgs or EVERYWHERE in self.orgs


def issue_token(root: Path, user: str, *, orgs: Sequence[str] = (), role: Role = "write") -> str:
    """Return a new token; only its SHA-256 is kept, so this is the one time to see it.

    Args:
        root: Folder of the Hub.
        user: Whose it is; also the namespace of their own repositories.
        orgs: Further namespaces that the token opens; `EVERYWHERE` for all.
        role: "read" sees the private repositories of these namespaces, "write" changes all of them.

    Raises:
        HubNameError: A user or an organization cannot be called this.
        StorageError: The folder cannot be written.
    """
    for name in (user, *(org for org in orgs if org != EVERYWHERE)):
        if not is_namespace(name):
            raise HubNameError(
                f"{name!r} cannot be the name of a user or an organization of a Hub. Use letters, "
                "digits, '.', '_' and '-', beginning and ending with a letter, a digit or '_', and "
                "none of the words that the Hub's own addresses begin with, such as 'api'."
            )
    make_root(root)
    token = f"hf_{secrets.token_urlsafe(24)}"
    caller = Caller(
        digest=_digest(token), user=user, orgs=tuple(orgs), role=role, issued=int(time.time())
    )
    write_private(_record(root, caller.digest), caller.model_dump_json(indent=2).encode())
    return token


def make_root(root: Path) -> None:
    """Make the folder of a Hub where it is missing, for nobody but this user.

    Raises:
        StorageError: It cannot be made.
    """
    make_folder(root.parent)
    with explaining(root, "making"):
        root.mkdir(mode=0o700, exist_ok=True)


def revoke_tokens(root: Path, user: str) -> int:
    """Make every token of a user worthless, and return how many these were.

    Raises:
        StorageError: The folder cannot be read or written.
    """
    digests = [caller.digest for caller in issued_tokens(root) if caller.user == user]
    for digest in digests:
        with explaining(_record(root, digest), "removing"):
            _record(root, digest).unlink(missing_ok=True)
    return len(digests)


def issued_tokens(root: Path) -> Iterator[Caller]:
    """Yield whom tokens were issued to.

    Raises:
        StorageError: The folder cannot be read.
    """
    for path in sorted((root / "tokens").glob("*.json")):
        if (caller := _read(path)) is not None:
            yield caller


def caller_of(root: Path, authorization: str | None) -> Caller | None:
    """Return who sent an Authorization header; None for whoever sent none.

    Raises:
        Refusal: There is one, and no valid token in it, whatever was asked for.
    """
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    digest = _digest(token.strip())
    caller = _read(_record(root, digest)) if scheme.lower() == "bearer" else None
    if caller is None or not hmac.compare_digest(caller.digest, digest):
        raise Refusal(401, BAD_TOKEN)
    return caller


def may_see(root: Path, user: str, namespace: str) -> bool:
    """Whether any token of ``user`` that is good now opens the private part of a namespace.

    Raises:
        StorageError: The folder cannot be read.
    """
    return any(
        caller.user == user and caller.belongs_to(namespace) for caller in issued_tokens(root)
    )


def require_writer(caller: Caller | None, namespace: str | None = None) -> Caller:
    """Return the caller, who may write in ``namespace``.

    Raises:
        Refusal: They may not.
    """
    if caller is None:
        raise Refusal(401, NO_TOKEN)
    if caller.role != "write":
        raise Refusal(403, READ_TOKEN)
    if namespace is not None and not caller.belongs_to(namespace):
        raise Refusal(
            403, f"Forbidden: the token of {caller.user} has no rights under {namespace}."
        )
    return caller


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def _record(root: Path, digest: str) -> Path:
    return root / "tokens" / f"{digest}.json"


def _read(path: Path) -> Caller | None:
    with explaining(path, "reading"):
        try:
            return Caller.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):  # revoked, or damaged: worth nothing
            return None
