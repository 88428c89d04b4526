"""Who may use a service: one string for its server, the key of its secrets, and that of webhooks.

All are made up once, at random, and lie in files that nobody but this user reads; none is ever
printed, logged, or handed over as an argument, which `ps` would show.  The environment goes before
the files, so that a team may keep them elsewhere.
"""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from infra.files import explaining, write_private

SERVER_AUTH = "PREFECT_SERVER_API_AUTH_STRING"
CLIENT_AUTH = "PREFECT_API_AUTH_STRING"
ENCRYPTION = "PREFECT_SERVER_ENCRYPTION_KEY"
WEBHOOK = "ROUNDHOUSE_WEBHOOK_SECRET"
USER = "roundhouse"
KEY_BYTES = 32  # what Fernet takes


class Access(NamedTuple):
    """What a server asks of its clients, and what it encrypts secrets with."""

    auth: str
    encryption_key: str

    def __repr__(self) -> str:
        """Say nothing of either: values end up in tracebacks."""
        return "Access(…)"

    def for_server(self) -> dict[str, str]:
        """Return the environment of a server."""
        return {SERVER_AUTH: self.auth, ENCRYPTION: self.encryption_key}

    def for_secrets(self) -> dict[str, str]:
        """Return the environment of a server that lets everybody in."""
        return {ENCRYPTION: self.encryption_key}

    def for_client(self) -> dict[str, str]:
        """Return the environment of a worker or another client."""
        return {CLIENT_AUTH: self.auth}


def auth_file(workspace: Path) -> Path:
    """Return where the string is that opens a workspace's server: ``user:password``."""
    return workspace / "prefect" / "auth"


def encryption_key_file(workspace: Path) -> Path:
    """Return where the key is that the server encrypts secret blocks with."""
    return workspace / "prefect" / "encryption.key"


def ensure_access(workspace: Path, environment: Mapping[str, str] = os.environ) -> Access:
    """Return what opens a workspace's server; the first call makes it up.

    Raises:
        StorageError: A file cannot be read or written.
    """
    return Access(
        environment.get(SERVER_AUTH)
        or _ensure(auth_file(workspace), f"{USER}:{secrets.token_urlsafe(32)}"),
        ensure_encryption_key(workspace, environment),
    )


def ensure_encryption_key(workspace: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Return the key of a workspace's secret blocks; the first call makes it up.

    Raises:
        StorageError: The file cannot be read or written.
    """
    made_up = base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    return environment.get(ENCRYPTION) or _ensure(encryption_key_file(workspace), made_up)


def webhook_file(workspace: Path) -> Path:
    """Return where the secret is that a Hub's webhook must send."""
    return workspace / "webhook.secret"


def ensure_webhook_secret(workspace: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Return the secret that a Hub's webhook must send; the first call makes it up.

    Raises:
        StorageError: The file cannot be read or written.
    """
    return environment.get(WEBHOOK) or _ensure(webhook_file(workspace), secrets.token_urlsafe(32))


def _ensure(path: Path, made_up: str) -> str:
    """Return what a private file holds, ``made_up`` if it was not there."""
    if not path.exists():
        write_private(path, f"{made_up}\n".encode())
    with explaining(path, "reading"):
        return path.read_text(encoding="ascii").strip()
