"""What opens a service is made up once, private, and the environment's where that has one."""

import base64
import stat
from pathlib import Path

import pytest

from flows.service import access


def mode(path: Path) -> int:
    """Return the rights of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_is_made_up_once_for_this_user_alone(tmp_path: Path) -> None:
    """Long, the same after a restart, another in each workspace, and nobody else reads it."""
    first = access.ensure_access(tmp_path, {})

    assert access.ensure_access(tmp_path, {}) == first
    assert first.auth.startswith("roundhouse:")
    assert len(first.auth) >= 40
    assert len(base64.urlsafe_b64decode(first.encryption_key)) == 32
    assert mode(access.auth_file(tmp_path)) == 0o600
    assert mode(access.encryption_key_file(tmp_path)) == 0o600
    other = access.ensure_access(tmp_path / "other", {})
    assert other.auth != first.auth
    assert other.encryption_key != first.encryption_key


def test_a_webhooks_secret_is_made_up_once_for_this_user_alone(tmp_path: Path) -> None:
    """Long, the same after a restart, and in a file that nobody else reads."""
    first = access.ensure_webhook_secret(tmp_path, {})

    assert access.ensure_webhook_secret(tmp_path, {}) == first
    assert len(first) >= 40
    assert mode(access.webhook_file(tmp_path)) == 0o600
    assert access.ensure_webhook_secret(tmp_path / "other", {}) != first


def test_what_the_environment_has_wins(tmp_path: Path) -> None:
    """Then nothing is written."""
    given = {access.SERVER_AUTH: "team:word", access.ENCRYPTION: "key", access.WEBHOOK: "hook"}

    assert access.ensure_access(tmp_path, given) == access.Access("team:word", "key")
    assert access.ensure_webhook_secret(tmp_path, given) == "hook"
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_it_shows_where_it_is_printed(tmp_path: Path) -> None:
    """A traceback or a log line that holds the value holds no password."""
    made = access.ensure_access(tmp_path, {})

    assert made.auth not in repr(made)
    assert made.encryption_key not in str(made)


@pytest.mark.parametrize("who", ["server", "client"])
def test_each_side_is_told_what_it_needs(who: str) -> None:
    """A client never has the key of the server's secrets."""
    told = access.Access("user:word", "key")
    server = {access.SERVER_AUTH: "user:word", access.ENCRYPTION: "key"}
    client = {access.CLIENT_AUTH: "user:word"}

    assert (told.for_server() if who == "server" else told.for_client()) == (
        server if who == "server" else client
    )
