"""Signatures: made by a local key, verified without a network, by us and by OpenSSF's own tool."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.errors import BadSignatureError, SigningError, TagMovedError
from infra.publishing.hub import Hub
from infra.publishing.manifest import of_bytes
from infra.publishing.signing import open_signer, verify_signature
from tests.support.local_hub import LocalHub
from tests.support.publishing import hub_of, make_release, online


class Keys(NamedTuple):
    """A key and its public half."""

    private: Path
    public: Path


def make_keys(folder: Path, name: str, curve: str = "prime256v1") -> Keys:
    """Make a pair of keys as the documentation says."""
    keys = Keys(folder / f"{name}.pem", folder / f"{name}.pub")
    for command in (
        ["ecparam", "-genkey", "-name", curve, "-noout", "-out", keys.private],
        ["ec", "-in", keys.private, "-pubout", "-out", keys.public],
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)  # noqa: S607
    return keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Return the keys of whoever publishes."""
    return make_keys(tmp_path_factory.mktemp("keys"), "ours")


@pytest.fixture(scope="module")
def signed(server: LocalHub, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a signed release as a reader has it; never write into it."""
    folder = tmp_path_factory.mktemp("signed")
    with online():
        make_release(folder, "acme/signed", 1).publish_to(hub_of(server), open_signer(keys.private))
        return Path(
            server.api(token=False).snapshot_download(
                "acme/signed", revision="v1.0.0", local_dir=folder / "reader"
            )
        )


@pytest.fixture
def downloaded(signed: Path, tmp_path: Path) -> Path:
    """Return a copy of it to damage."""
    return shutil.copytree(signed, tmp_path / "reader")


def test_a_signed_release_verifies(downloaded: Path, keys: Keys) -> None:
    """Every file but the signature itself is covered, sums and card too."""
    there = [p for p in downloaded.iterdir() if p.is_file() and p.name != ".gitattributes"]

    assert verify_signature(downloaded, keys.public) == len(there) - 1


def test_openssf_agrees(downloaded: Path, keys: Keys) -> None:
    """Their own command says the same, with its defaults."""
    command = [
        *(sys.executable, "-m", "model_signing", "verify", "key", downloaded),
        *("--signature", downloaded / "model.sig", "--public_key", keys.public),
    ]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "Verification succeeded" in done.stdout + done.stderr
    assert done.returncode == 0


def test_one_flipped_byte(downloaded: Path, keys: Keys) -> None:
    """The file is named."""
    path = downloaded / "model-00001-of-00002.safetensors"
    data = bytearray(path.read_bytes())
    data[1234] ^= 1
    path.write_bytes(data)

    with pytest.raises(BadSignatureError, match=f"{path.name} has other content"):
        verify_signature(downloaded, keys.public)


def test_a_file_more_and_a_file_less(downloaded: Path, keys: Keys) -> None:
    """Both are told."""
    (downloaded / "config.json").unlink()
    (downloaded / "evil.py").write_text("import os")

    with pytest.raises(BadSignatureError, match=r"config\.json is missing; evil\.py was not sign"):
        verify_signature(downloaded, keys.public)


def test_another_key(downloaded: Path, tmp_path: Path) -> None:
    """A signature by somebody else is none."""
    with pytest.raises(BadSignatureError, match="Key mismatch"):
        verify_signature(downloaded, make_keys(tmp_path, "theirs").public)


def test_a_forged_statement(downloaded: Path, keys: Keys) -> None:
    """A signature whose list was changed is by nobody."""
    path = downloaded / "model.sig"
    bundle = json.loads(path.read_text())
    bundle["dsseEnvelope"]["payload"] = bundle["dsseEnvelope"]["payload"].replace("e", "f", 1)
    path.write_text(json.dumps(bundle))

    with pytest.raises(BadSignatureError):
        verify_signature(downloaded, keys.public)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"verificationMaterial": 1}', "\x00"])
def test_what_is_no_signature(downloaded: Path, keys: Keys, content: str) -> None:
    """Rubbish is told as such, not as a fault of the program."""
    (downloaded / "model.sig").write_text(content)

    with pytest.raises(BadSignatureError):
        verify_signature(downloaded, keys.public)


def test_no_signature(downloaded: Path, keys: Keys) -> None:
    """An unsigned release does not verify."""
    (downloaded / "model.sig").unlink()

    with pytest.raises(BadSignatureError, match=r"no model\.sig"):
        verify_signature(downloaded, keys.public)


def test_signing_again_makes_no_commit(
    server: LocalHub, hub: Hub, repo_id: str, keys: Keys, tmp_path: Path
) -> None:
    """Signatures of one content differ each time; the one that is there is recognized."""
    release, signer = make_release(tmp_path, repo_id, 1), open_signer(keys.private)
    first = release.publish_to(hub, signer)
    files = of_bytes({"a": b"a"})
    since = len(server.requests)

    second = release.publish_to(hub, open_signer(keys.private))

    assert signer.sign(files) != signer.sign(files)
    assert second == first.model_copy(update={"commits": 0})
    assert first.signed
    assert not any(line.startswith(("POST", "PUT")) for line in server.requests[since:])


def test_without_the_key_a_signed_release_is_found(
    hub: Hub, repo_id: str, keys: Keys, tmp_path: Path
) -> None:
    """A signature over the same files is left alone; it cannot be vouched for."""
    release = make_release(tmp_path, repo_id, 1)
    release.publish_to(hub, open_signer(keys.private))

    again = release.publish_to(hub)

    assert (again.commits, again.signed) == (0, False)
    assert "model.sig" in hub.tree(repo_id, "v1.0.0")


def test_an_unsigned_version_is_not_signed_later(
    hub: Hub, repo_id: str, keys: Keys, tmp_path: Path
) -> None:
    """Its tag would have to move."""
    release = make_release(tmp_path, repo_id, 1)
    release.publish_to(hub)

    with pytest.raises(TagMovedError, match="no signature by this key"):
        release.publish_to(hub, open_signer(keys.private))


def test_a_stale_signature_goes(hub: Hub, repo_id: str, keys: Keys, tmp_path: Path) -> None:
    """An unsigned version after a signed one does not keep its signature."""
    make_release(tmp_path, repo_id, 1).publish_to(hub, open_signer(keys.private))

    make_release(tmp_path, repo_id, 2).publish_to(hub)

    assert "model.sig" not in hub.tree(repo_id, "main")


@pytest.mark.parametrize("curve", ["secp384r1", "secp521r1"])
def test_other_curves(tmp_path: Path, curve: str) -> None:
    """All curves that the tool knows; it vouches for its own content alone."""
    signer = open_signer(make_keys(tmp_path, "ours", curve).private)
    files = of_bytes({"a": b"a"})

    signature = signer.sign(files)

    assert signer.vouches(signature, files)
    assert not signer.vouches(signature, of_bytes({"a": b"b"}))


def test_keys_that_cannot_be_used(keys: Keys, tmp_path: Path) -> None:
    """Missing, open to others, no key, another kind of key, a public one: each says what to do."""
    open_to_others, rubbish, other = (tmp_path / name for name in ("open", "rubbish", "other"))
    open_to_others.write_bytes(keys.private.read_bytes())
    open_to_others.chmod(0o644)
    rubbish.write_text("no key")
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", other],  # noqa: S607
        check=True,
        capture_output=True,
    )
    public = tmp_path / "public"
    public.write_bytes(keys.public.read_bytes())
    for path in (rubbish, other, public):
        path.chmod(0o600)

    with pytest.raises(SigningError, match="openssl ecparam"):
        open_signer(tmp_path / "absent")
    with pytest.raises(SigningError, match="chmod 600"):
        open_signer(open_to_others)
    for path in (rubbish, other, public):
        with pytest.raises(SigningError, match="must be an elliptic key"):
            open_signer(path)


def test_a_public_key_that_cannot_be_used(downloaded: Path, tmp_path: Path) -> None:
    """The wrong file is not told as a wrong signature."""
    (tmp_path / "rubbish").write_text("no key")

    for name in ("rubbish", "absent"):
        with pytest.raises(SigningError, match="public half"):
            verify_signature(downloaded, tmp_path / name)


def test_the_key_is_not_shown(keys: Keys) -> None:
    """A signer tells where its key is."""
    assert repr(open_signer(keys.private)) == f"KeySigner({keys.private})"
