"""Tokens: what is on the disk, and what they open."""

import re
import stat
from pathlib import Path

import pytest

from infra.errors import HubNameError
from infra.local_hub import access
from infra.local_hub.access import EVERYWHERE, issue_token
from infra.local_hub.refusals import Refusal


def test_the_token_itself_is_nowhere_on_the_disk(tmp_path: Path) -> None:
    """Only its SHA-256 is, in a file for this user alone, in a folder for this user alone."""
    root = tmp_path / "hub"
    token = issue_token(root, "alice", orgs=["acme"])

    (record,) = (root / "tokens").iterdir()
    assert re.fullmatch(r"hf_[\w-]{32}", token)
    assert token not in record.read_text()
    assert record.name not in token
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_a_token_opens_its_namespaces(tmp_path: Path) -> None:
    """The user's own, and those of the organizations; all of them for who owns the Hub."""
    alice = access.caller_of(tmp_path, f"Bearer {issue_token(tmp_path, 'alice', orgs=['acme'])}")
    owner = access.caller_of(tmp_path, f"bearer {issue_token(tmp_path, 'own', orgs=[EVERYWHERE])}")

    assert alice is not None
    assert owner is not None
    assert [alice.belongs_to(name) for name in ("alice", "acme", "bob", EVERYWHERE)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert owner.belongs_to("anybody")


def test_a_revoked_token_is_worth_nothing(tmp_path: Path) -> None:
    """At once, without a restart; those of others go on."""
    tokens = [issue_token(tmp_path, "alice"), issue_token(tmp_path, "alice", role="read")]
    other = issue_token(tmp_path, "bob")

    assert access.revoke_tokens(tmp_path, "alice") == 2
    assert access.revoke_tokens(tmp_path, "alice") == 0

    for token in tokens:
        with pytest.raises(Refusal):
            access.caller_of(tmp_path, f"Bearer {token}")
    assert access.caller_of(tmp_path, f"Bearer {other}") is not None


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"digest": "x"}'])
def test_a_damaged_record_opens_nothing(tmp_path: Path, damage: bytes) -> None:
    """Nor does one that was put under another token's name."""
    token = issue_token(tmp_path, "alice")
    mallory = issue_token(tmp_path, "mallory")
    records = {path.read_bytes(): path for path in (tmp_path / "tokens").iterdir()}
    (alices,) = [data for data in records if b"alice" in data]
    (mallorys,) = [path for data, path in records.items() if b"mallory" in data]

    mallorys.write_bytes(alices)
    records[alices].write_bytes(damage)

    for worthless in (token, mallory):
        with pytest.raises(Refusal):
            access.caller_of(tmp_path, f"Bearer {worthless}")


@pytest.mark.parametrize("name", ["", "..", "a/b", "api", "datasets", "a b", "-a", "x.git", "ü"])
def test_names_that_nobody_can_have(tmp_path: Path, name: str) -> None:
    """They would be read as something else in an address, or lead out of the folder."""
    with pytest.raises(HubNameError, match="cannot be the name"):
        issue_token(tmp_path, name)
    with pytest.raises(HubNameError, match="cannot be the name"):
        issue_token(tmp_path, "alice", orgs=[name])
    assert not (tmp_path / "tokens").exists()
