"""What the card says to check a download with does check it: the very commands, run by a shell.

Its programs and the command that makes the model again are run in tests/peers/test_card.py.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.card.papers import CardPapers
from infra.publishing.publish import publish
from infra.publishing.signing import open_signer
from tests.support import markdown
from tests.support.card import PICTURE, release_facts
from tests.support.local_hub import local_hub
from tests.support.publishing import hub_of, make_release, online

SHELL = ("bash", "-euc")


class World(NamedTuple):
    """A signed release, and an environment that knows its Hub."""

    commands: dict[str, str]
    environment: dict[str, str]
    public_key: bytes


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a release that was published with its card, and signed."""
    folder = tmp_path_factory.mktemp("signed")
    key = folder / "release.pem"
    _openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", str(key))
    key.chmod(0o600)
    release = make_release(folder, "acme/Qwen2-VL-7B-Instruct-int4-sym", 1)
    papers = CardPapers(release_facts(signed=True), {PICTURE: b"a picture"})
    with local_hub(folder / "hub") as server, online():
        hub, signer = hub_of(server), open_signer(key)
        publish(hub, release.target, release.content, papers, signer=signer, say=lambda _: None)
        card = hub.read(release.target.repo_id, release.target.version, "README.md").decode()
        blocks = markdown.read(card).programs("bash")
        yield World(
            {
                "sums": next(each for each in blocks if "sha256sum" in each),
                "signature": next(each for each in blocks if "model_signing" in each),
            },
            os.environ
            | {
                "HF_ENDPOINT": server.endpoint,
                "HF_HUB_OFFLINE": "0",
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PIP_NO_INDEX": "1",
            },
            _openssl("ec", "-in", str(key), "-pubout"),
        )


def _openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True).stdout  # noqa: S607 -- the system's own


@pytest.fixture
def checked(world: World, tmp_path: Path) -> tuple[Path, str]:
    """Return the folder of a download, and what the sums said of it."""
    (tmp_path / "release.pub").write_bytes(world.public_key)
    done = _run(world, "sums", tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / "Qwen2-VL-7B-Instruct-int4-sym", done.stdout


def _run(world: World, name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SHELL, world.commands[name]],
        cwd=folder,
        env=world.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_sums_cover_every_file_but_themselves(checked: tuple[Path, str]) -> None:
    """The card, the facts, the recipe, the plot and the pictures; not the Hub's own file."""
    folder, told = checked
    sound = {line.removesuffix(": OK") for line in told.splitlines() if line.endswith(": OK")}
    there = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".cache" not in path.parts
    }

    assert there - sound == {"SHA256SUMS", "model.sig", ".gitattributes"}
    assert {"README.md", "release.json", "recipe.yaml", "images/losses.png", PICTURE} <= sound


def test_the_signature_is_good(world: World, checked: tuple[Path, str]) -> None:
    """With the key that belongs to it."""
    done = _run(world, "signature", checked[0].parent)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout + done.stderr


def test_a_changed_number_in_the_card_breaks_the_signature(
    world: World, checked: tuple[Path, str]
) -> None:
    """The card is signed as well as the weights."""
    card = checked[0] / "README.md"
    card.write_text(card.read_text(encoding="utf-8").replace("83.84", "84.84"), encoding="utf-8")

    assert _run(world, "signature", checked[0].parent).returncode != 0
