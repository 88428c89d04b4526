"""Every block of code in the card does what the card says, with the clients that people have.

The card is that of a release of the demo model, published by `roundhouse run` to a Hub on loopback.
Its programs run as they are printed, in this environment, and know that Hub by `HF_ENDPOINT` alone.
"""

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support import markdown

ROOT = Path(__file__).resolve().parents[2]
OURS, CLIENTS = ROOT / ".venv" / "bin", ROOT / ".venv-peers" / "bin"
MAIN, GPTQ = "v1.0.0", "v1.0.0-auto_gptq"
END = "\x1e"
pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True, slots=True)
class Release:
    """A published release, and a world in which its programs run."""

    endpoint: str
    repo_id: str
    data: Path
    environment: dict[str, str]

    def read(self, revision: str, path: str) -> bytes:
        """Return a file of a revision."""
        address = f"{self.endpoint}/{self.repo_id}/resolve/{revision}/{path}"
        return httpx2.get(address, follow_redirects=True).raise_for_status().content

    def card(self, revision: str) -> markdown.Page:
        """Return the card of a revision."""
        return markdown.read(self.read(revision, "README.md").decode())

    def facts(self, revision: str) -> dict[str, Any]:
        """Return the facts that the card was made of."""
        return json.loads(self.read(revision, "release.json"))

    def run(self, command: Sequence[str | Path], folder: Path) -> str:
        """Run a command in a folder, and return what it prints."""
        done = subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def answer(self, program: str, folder: Path) -> str:
        """Run a program of the card, and return what it prints."""
        path = folder / "program.py"
        path.write_text(program, encoding="utf-8")
        return self.run([sys.executable, path], folder)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """Return a release that is served as long as the tests of this file last."""
    folder = tmp_path_factory.mktemp("served")
    environment = _environment(folder)
    with subprocess.Popen(
        [OURS / "python", "-m", "tests.peers.served", folder],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        world = environment | {"HF_ENDPOINT": told["endpoint"]}
        yield Release(told["endpoint"], told["repo_id"], Path(told["data"]), world)
        process.stdin.close()


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of a user: both sets of commands, no settings of these tests."""
    ours = {name for name in os.environ if name.startswith(("HF_", "PREFECT_"))}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {
        "HF_HOME": str(folder / "hf"),
        "PATH": f"{CLIENTS}:{OURS}:{os.environ['PATH']}",  # hf is the clients', roundhouse ours
        "PIP_NO_INDEX": "1",
    }


@pytest.mark.parametrize("revision", [MAIN, GPTQ])
@pytest.mark.parametrize("place", [0, 1], ids=["auto_round", "auto_gptq"])
def test_a_program_prints_the_answer_of_the_card(
    release: Release, tmp_path: Path, revision: str, place: int
) -> None:
    """As it is printed, from a fresh process: model, processor and picture of that revision."""
    program = release.card(revision).programs("python")[place]
    sample = release.facts(revision)["generations"]["samples"][0]

    assert _ends_in(release.answer(program, tmp_path), sample["int4"])


@pytest.mark.parametrize("place", [0, 1], ids=["auto_round", "auto_gptq"])
def test_all_sample_answers_are_what_clients_answer(
    release: Release, tmp_path: Path, place: int
) -> None:
    """The same program, with each question and picture of the card in turn."""
    program = release.card(MAIN).programs("python")[place]
    samples = release.facts(MAIN)["generations"]["samples"]

    said = release.answer(_for_each(program, samples), tmp_path).split(END)[:-1]

    assert len(said) == len(samples)
    for answer, sample in zip(said, samples, strict=True):
        assert _ends_in(answer, sample["int4"])
    assert len(samples) == len(release.card(MAIN).table("picture")) - 1


def test_requirements_are_those_of_the_tests(release: Release, tmp_path: Path) -> None:
    """They can be installed, and this environment meets them: nothing is fetched."""
    commands = [each for each in release.card(MAIN).programs("bash") if "pip install" in each]

    assert len(commands) == 2
    for command in commands:
        told = release.run(["bash", "-euc", command], tmp_path)
        assert "Successfully installed" not in told


@pytest.mark.parametrize("revision", [MAIN, GPTQ])
def test_a_download_is_checked_as_the_card_says(
    release: Release, tmp_path: Path, revision: str
) -> None:
    """Every file of the revision has the digest that its list gives."""
    (command,) = (each for each in release.card(revision).programs("bash") if "sha256sum" in each)

    told = release.run(["bash", "-euc", command], tmp_path)

    assert {"README.md: OK", "release.json: OK", "config.json: OK"} <= set(told.splitlines())


def test_the_recipe_makes_the_same_weights(release: Release, tmp_path: Path) -> None:
    """The very command of the card, with the local files where it says that they belong."""
    (command,) = (each for each in release.card(MAIN).programs("bash") if "roundhouse run" in each)
    facts = release.facts(MAIN)
    beside = tmp_path / facts["name"]
    beside.mkdir()
    for name in facts["local_files"]:
        copy = shutil.copytree if (release.data / name).is_dir() else shutil.copyfile
        copy(release.data / name, beside / name)
    try:
        release.run(["bash", "-euc", command], tmp_path)
    finally:
        release.run([OURS / "roundhouse", "ui", "--stop"], tmp_path)

    for kind, revision in (("auto_round", MAIN), ("auto_gptq", GPTQ)):
        made = sorted((beside / "checkpoints" / kind).glob("*.safetensors"))
        assert made
        for path in made:
            published = release.read(revision, path.name)
            assert hashlib.sha256(published).digest() == hashlib.sha256(path.read_bytes()).digest()


def _ends_in(printed: str, answer: str) -> bool:
    """Whether the last that was printed is this answer; gptqmodel prints of itself before it."""
    return f"\n{printed.strip()}".endswith(f"\n{answer.strip()}")


def _for_each(program: str, samples: Sequence[dict[str, Any]]) -> str:
    """Return a program that loads once and asks each sample's question about its picture."""
    body = ast.parse(program).body
    first = next(place for place, node in enumerate(body) if _name(node) == "picture")
    asked = [node for node in body[first:] if _name(node) not in ("picture", "question")]
    parts = [ast.unparse(ast.Module(body[:first], []))]
    for sample in samples:
        fetched = f"hf_hub_download(repo, {sample['picture']!r}, revision=revision)"
        parts += [f"picture = Image.open({fetched})", f"question = {sample['question']!r}"]
        parts += [ast.unparse(ast.Module(asked, [])), f"print({END!r})"]
    return "\n".join(parts)


def _name(node: ast.stmt) -> str | None:
    """Return the name that a statement assigns to."""
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    return target.id if isinstance(target, ast.Name) else None
