"""The token is found nowhere: real flows push with it on a real server, and everything is searched.

What is pushed ends well, or is refused, or meets a cut connection; the token comes from each place
that it can come from.  Then every byte that was written anywhere is looked at: what the process
printed with all its loggers at DEBUG, Prefect's data base, its results and artifacts, pickled
errors, the command lines of all processes, and every file of every revision that was published.
"""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from prefect.blocks.system import Secret
from prefect.settings import temporary_settings

from infra.local_hub.access import issue_token
from infra.local_hub.faults import Fault
from infra.publishing.published import Content
from infra.publishing.target import Target
from tasks.push import PushRequest
from tests.support.card import release_facts, source_facts
from tests.support.local_hub import LocalHub
from tests.support.places import place_at
from tests.support.publishing import hub_of, write_export

WRONG = "hf_WrongButRecognisable"
PATIENCE = 60.0  # seconds for Prefect's server to write down what it was told
LOGGERS = "huggingface_hub,httpx2,httpcore2,httpx,httpcore,urllib3,asyncio,roundhouse"


class Ran(NamedTuple):
    """What the pushing process has left, and what it must not have left."""

    secrets: dict[str, str]  # by what they are
    output: str
    command_lines: bytes
    folder: Path


def place(folder: Path, name: str, token: str) -> Path:
    """Write a token to a file that its owner alone may read."""
    path = folder / name
    path.write_text(token)
    path.chmod(0o600)
    return path


def command_lines() -> bytes:
    """Return the command lines of all processes."""
    found = b""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += path.read_bytes()
        except OSError:
            continue  # it has just ended
    return found


def orders(server: LocalHub, folder: Path, secrets: dict[str, str]) -> list[dict[str, object]]:
    """Return what the process is to do: each place of a token, and each way to fail."""
    source = source_facts().repo_id
    files = {what: place(folder, what, token) for what, token in secrets.items()}
    places: list[tuple[str, Path | None]] = [
        ("environment", files["good"]),
        ("block:good", None),
        (f"file:{files['good']}", None),
        ("environment", files["wrong"]),
        ("block:wrong", None),
        (f"file:{files['read-only']}", None),
        (f"file:{files['good']}", None),  # the connection is cut: see the fault
        ("environment", None),
    ]
    made = []
    for number, (token, environment) in enumerate(places):
        content = Content(
            auto_round=write_export(folder / f"a{number}", "auto_round", 1, source=source),
            auto_gptq=write_export(folder / f"g{number}", "auto_gptq", 1, source=source),
        )
        request = PushRequest(
            target=Target(
                endpoint=server.endpoint, repo_id=f"acme/secret-{number}", version="v1.0.0"
            ),
            content=content,
            facts=release_facts(),
            pictures={},
            signing_key=None,
            token=token,
            place=place_at(folder / "store"),
        )
        made.append({"request": request, "environment": environment})
    server.faults.add(Fault(match="acme/secret-6/commit/", mode="drop_upload", after=1))
    return made


@pytest.fixture(scope="module")
def ran(server: LocalHub, prefect_api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run all orders in a process of their own, with every logger as talkative as it can be."""
    folder = tmp_path_factory.mktemp("secrets")
    secrets = {
        "good": issue_token(server.root, "carol", orgs=["acme"]),
        "read-only": issue_token(server.root, "dave", orgs=["acme"], role="read"),
        "wrong": WRONG,
    }
    with temporary_settings({"api.url": prefect_api_url}):
        for name in ("good", "wrong"):
            Secret(value=secrets[name]).save(name, overwrite=True)
    (folder / "tokens").mkdir()
    written = [
        {
            "request": order["request"].model_dump(mode="json"),
            "environment": order["environment"] and str(order["environment"]),
        }
        for order in orders(server, folder / "tokens", secrets)
    ]
    (folder / "orders.json").write_text(json.dumps(written))
    (folder / "left").mkdir()
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "0",
        "HF_DEBUG": "1",
        "HF_HUB_VERBOSITY": "debug",
        "PREFECT_API_URL": prefect_api_url,
        "PREFECT_HOME": str(folder / "left" / "prefect-home"),
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_LOGGING_INTERNAL_LEVEL": "DEBUG",
        "PREFECT_LOGGING_EXTRA_LOGGERS": LOGGERS,
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
        "PREFECT_LOCAL_STORAGE_PATH": str(folder / "left" / "results"),
    }
    with (
        (folder / "left" / "output").open("w") as output,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.support.pushing"),
                *(folder / "orders.json", folder / "left"),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=Path(__file__).parents[2],
        ) as process,
    ):
        lines = b""
        while process.poll() is None:
            lines += command_lines()
            time.sleep(0.2)
    text = (folder / "left" / "output").read_text()
    return Ran(secrets, text, lines, folder / "left")


def test_what_came_of_it(ran: Ran) -> None:
    """Every place gives the token; wrong, weak and missing ones are told; a cut is got over."""
    outcomes = [line.split(": ")[1] for line in ran.output.splitlines() if "outcome " in line]

    assert outcomes == [
        "2 commits",
        "2 commits",
        "2 commits",
        "RejectedTokenError",
        "RejectedTokenError",
        "NotAllowedError",
        "2 commits",
        "MissingTokenError",
    ], ran.output[-3000:]


@pytest.mark.parametrize("what", ["good", "read-only", "wrong"])
def test_nothing_that_was_written_holds_it(
    ran: Ran, server: LocalHub, prefect_workspace: Path, what: str
) -> None:
    """Output, results, artifacts, pickled errors, Prefect's data base, the folder of the Hub."""
    secret = ran.secrets[what].encode()
    database = prefect_workspace / "prefect" / "prefect.db"
    deadline = time.monotonic() + PATIENCE
    while b"acme/secret-7" not in rows(database) and time.monotonic() < deadline:
        time.sleep(0.5)

    for folder, known in (  # what is certainly there shows that it is the right place
        (ran.folder, b"authorization: <TOKEN>"),
        (database.parent, b"push-for-a-test"),
        (server.root, b"secret-0"),
    ):
        content = files_below(folder)
        assert [name for name, data in content.items() if secret in data] == []
        assert any(known in name.encode() or known in data for name, data in content.items())
    assert b"acme/secret-7" in rows(database)
    assert secret not in rows(database)
    assert b"tests.support.pushing" in ran.command_lines
    assert secret not in ran.command_lines


@pytest.mark.parametrize("number", [0, 1, 2, 6])
def test_nothing_that_was_published_holds_it(ran: Ran, server: LocalHub, number: int) -> None:
    """Every file of every revision, and the history's words."""
    hub, repo_id = hub_of(server), f"acme/secret-{number}"

    for name, commit in hub.refs(repo_id).tags.items():
        for path in hub.tree(repo_id, commit):
            data = hub.read(repo_id, commit, path)
            assert [what for what, token in ran.secrets.items() if token.encode() in data] == []
        history = str(server.api().list_repo_commits(repo_id, revision=name))
        assert [what for what, token in ran.secrets.items() if token in history] == []


def files_below(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder, hidden ones too; of those that come and go, what is there."""
    found = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                found[str(path)] = path.read_bytes()
    return found


def rows(database: Path) -> bytes:
    """Return every value of every table: in the file, a value may be split over pages."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        names = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        content = [connection.execute(f'select * from "{name}"').fetchall() for (name,) in names]  # noqa: S608 -- its own tables
    return str(content).encode()
