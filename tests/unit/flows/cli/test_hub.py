"""`roundhouse hub …` as a person types it."""

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import hubbing
from flows.cli.app import app
from infra.local_hub import access
from infra.local_hub.access import Caller


def run(*words: str) -> tuple[int, str, str]:
    """Run a command, and return its code and what it printed."""
    done = CliRunner().invoke(app, ["hub", *words])
    return done.exit_code, done.stdout, done.stderr


def who(root: Path, token: str) -> Caller:
    """Return whose token it is."""
    caller = access.caller_of(root, f"Bearer {token}")
    assert caller is not None
    return caller


def test_a_token_is_printed_once_and_alone(tmp_path: Path) -> None:
    """So that it can be written straight into a file; it opens what was asked for."""
    code, out, _ = run("token", "alice", "--org", "acme", "--org", "*", "--root", str(tmp_path))
    reader = run("token", "ci", "--role", "read", "--root", str(tmp_path))[1]

    assert code == 0
    assert out == f"{out.strip()}\n"
    assert (who(tmp_path, out.strip()).user, who(tmp_path, out.strip()).orgs) == (
        "alice",
        ("acme", "*"),
    )
    assert who(tmp_path, reader.strip()).role == "read"


def test_tokens_are_revoked(tmp_path: Path) -> None:
    """All of a user."""
    run("token", "alice", "--root", str(tmp_path))

    code, out, _ = run("token", "alice", "--revoke", "--root", str(tmp_path))

    assert (code, out) == (0, "1 of alice's tokens are worthless now.\n")


def test_a_name_that_nobody_can_have(tmp_path: Path) -> None:
    """It is a mistake of the command line."""
    code, out, error = run("token", "../x", "--root", str(tmp_path))

    assert (code, out) == (2, "")
    assert "'../x' cannot be the name" in error


def test_serving_where_it_cannot(tmp_path: Path) -> None:
    """A port that is taken is the environment's fault, an address that is none the user's."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        code, _, error = run("serve", "--port", port, "--root", str(tmp_path))
    assert (code, f"cannot listen on 127.0.0.1, port {port}" in error) == (5, True)

    code, _, error = run("serve", "--public-url", "hub", "--root", str(tmp_path))
    assert (code, "--public-url 'hub'" in error) == (2, True)


@pytest.mark.parametrize(
    ("host", "flag", "expected"),
    [("127.0.0.1", None, True), ("192.0.2.1", None, False), ("192.0.2.1", True, True),
     ("127.0.0.1", False, False)],
)  # fmt: skip
def test_chunks_are_for_clients_on_this_machine(
    tmp_path: Path, host: str, *, flag: bool | None, expected: bool
) -> None:
    """A Hub that lets others in does not offer its folder, unless it is told to."""
    asked = hubbing.Served(tmp_path, host, 0, None, flag)

    assert hubbing.settings_of(asked).xet is expected
