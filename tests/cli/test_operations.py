"""The page for operators is carried out, command by command, against a real service."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.reference import DOCS
from infra.demo import MODEL_DIR
from tests.support.bucket import keys_of_anyone, running_bucket
from tests.support.databases import running_postgres
from tests.support.pagecommands import Block, blocks_of
from tests.support.supervised import free_ports

pytestmark = pytest.mark.timeout(2400)  # the page is one fixture, of minutes

BLOCKS = tuple(
    block
    for block in blocks_of((DOCS / "operations.md").read_text(encoding="utf-8"))
    if block.mark.startswith("run")
)
PORTS = ("4200",)  # of the page; each run of this test takes free ones instead
DATABASE = "ROUNDHOUSE_DATABASE_URL"
RUNS = ("rounded", "first", "from-a-bucket", "streamed")  # of one model, in the same way
WEIGHTS = "model-00001-of-00001.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the page is carried out."""
    return tmp_path_factory.mktemp("operations")


@pytest.fixture(scope="module")
def environment(folder: Path) -> Iterator[dict[str, str]]:
    """Return the environment of somebody who has Roundhouse installed, and a bucket."""
    with keys_of_anyone(), running_bucket("team") as bucket:
        for path in MODEL_DIR.iterdir():
            bucket.put(f"models/demo/{path.name}", path.read_bytes())
        inherited = {name: value for name, value in os.environ.items() if "PREFECT" not in name}
        yield inherited | {
            "PATH": f"{Path(sys.executable).parent}:{inherited['PATH']}",
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": bucket.endpoint,
            "COLUMNS": "200",
        }


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """Return the address of a PostgreSQL server of which a copy is to be kept."""
    with running_postgres() as address:
        yield address


@pytest.fixture(scope="module")
def printed(folder: Path, environment: dict[str, str], database: str) -> Iterator[dict[str, str]]:
    """Carry out all blocks in order, and return what each printed; the service is gone then."""
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    try:
        yield {
            block.text: carry_out(block, ports, folder, environment | {DATABASE: database})
            for block in BLOCKS
        }
    finally:
        shell("roundhouse down", folder, environment)


def shell(text: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run commands in a shell that stops at the first one that fails."""
    return subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def carry_out(
    block: Block, ports: dict[str, str], folder: Path, environment: dict[str, str]
) -> str:
    """Carry out one block in a shell of its own, and return what it printed."""
    text = block.text
    for told, taken in ports.items():
        text = text.replace(told, taken)
    if block.mark != "run: database":
        environment = {name: value for name, value in environment.items() if name != DATABASE}
    ended = shell(text, folder, environment)
    print(f"$ {block.text}{ended.stdout}")  # noqa: T201 -- the log of the page
    assert ended.returncode == 0, f"{block.text}\n{ended.stdout[-4000:]}"
    return ended.stdout


def told(printed: dict[str, str], command: str) -> str:
    """Return what the first block with this command printed."""
    return next(text for block, text in printed.items() if command in block)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("roundhouse doctor\n", "versions"),
        ("roundhouse inspect", "auto_round"),
        ("roundhouse up --recipe", "Roundhouse is up"),
        ("--set workers.pool=gpu", "taken by a worker"),
        ("prefect deployment ls", "quantize-segment/gpu"),
        ("roundhouse up --schedule", "Roundhouse is up"),
        ("roundhouse worker", "stopped!"),
        ("store.uri=s3://", "from-a-bucket/auto_gptq"),
        ("--model s3://", "streamed/auto_gptq"),
        ("roundhouse down", "Stopped"),
    ],
)
def test_each_command_does_what_the_page_says(
    command: str, words: str, printed: dict[str, str]
) -> None:
    """By what it prints; that it ends with 0 has been looked at before."""
    assert words in told(printed, command)


def test_a_streamed_model_leaves_no_copy(printed: dict[str, str], folder: Path) -> None:
    """And its export is that of the packaged model."""
    assert printed
    assert list((folder / ".roundhouse").rglob("*.safetensors")) == []
    sums = [folder / "out" / name / "auto_round" / "SHA256SUMS" for name in RUNS]
    lines = {line for path in sums for line in path.read_text().splitlines() if WEIGHTS in line}
    assert len(lines) == 1


def test_backups_hold_what_they_should(printed: dict[str, str], folder: Path) -> None:
    """The workspace, and both kinds of database."""
    assert printed
    assert (folder / "restored" / ".roundhouse" / "prefect" / "prefect.db").is_file()
    assert (folder / "prefect.backup.db").read_bytes().startswith(b"SQLite format 3")
    assert (folder / "prefect.dump").read_bytes().startswith(b"PGDMP")
