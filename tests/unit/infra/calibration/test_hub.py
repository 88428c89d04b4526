"""The Hub, through the real clients, against a stand-in on loopback that serves one data set.

The clients read their settings once, at import, and the tests' own process has them offline: so
the asking is done in a fresh process.  The first commit and the second hold different rows.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from datasets import Dataset, Features, Image, Value

from infra.calibration.hub import HUB_ID, Pinned, frame_table, load_frame, pin
from infra.errors import CalibrationSourceError
from tests.support.calibration import picture

OLD, NEW = "a" * 40, "b" * 40
ROWS = {OLD: b'{"text": "old one"}\n{"text": "old two"}\n', NEW: b'{"text": "new one"}\n'}
BRANCHES = {"main": NEW, "v1": OLD, OLD: OLD, NEW: NEW}

ASKED: list[dict[str, object]] = [
    {},
    {"revision": "v9"},
    {"source": "owner/none"},
    {"split": "test"},
    {"data_files": ["b.jsonl"]},
    {"revision": "v1"},
    {"revision": OLD},
]

ASK = """
import json, sys
from infra.calibration.hub import open_hub
from infra.calibration.spec import CalibrationSpec
from infra.errors import CalibrationSourceError

for asked in json.loads(sys.argv[1]):
    base = {"name": "set", "kind": "text", "source": "owner/set"}
    spec = CalibrationSpec(**(base | {"nsamples": 1, "seqlen": 4, "seed": 1} | asked))
    try:
        rows = open_hub(spec)
    except CalibrationSourceError as error:
        print(json.dumps({"error": str(error)}))
    else:
        texts = [rows.row(index).values["text"] for index in range(len(rows))]
        ids = [rows.row(index).id for index in range(len(rows))]
        print(json.dumps({"texts": texts, "ids": ids} | rows.origin.model_dump()))
"""


class StandIn(BaseHTTPRequestHandler):
    """Answer what `huggingface_hub` and `datasets` ask about one data set of one file."""

    def do_GET(self) -> None:
        """Route a request; anything unknown is the 404 that the Hub would send."""
        parts = self.path.split("?")[0].strip("/").split("/")
        match parts:
            case ["api", "datasets", "owner", "set"]:
                self._send_info(BRANCHES["main"])
            case ["api", "datasets", "owner", "set", "revision", name] if name in BRANCHES:
                self._send_info(BRANCHES[name])
            case ["api", "datasets", "owner", "set", "revision", _]:
                self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            case ["api", "datasets", "owner", "set", "tree", commit]:
                size = len(ROWS[commit])
                entry = {"type": "file", "path": "rows.jsonl", "size": size, "oid": "0" * 40}
                self._send(200, json.dumps([entry]).encode(), {})
            case ["datasets", "owner", "set", "resolve", commit, "rows.jsonl"]:
                self._send(200, ROWS[commit], {"X-Repo-Commit": commit, "ETag": f'"{commit}"'})
            case ["datasets", "owner", "set", "resolve", *_] | [*_, "data"]:
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            case _:
                self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET  # noqa: N815 - the name that its base calls

    def _send_info(self, commit: str) -> None:
        info = {
            "id": "owner/set",
            "sha": commit,
            "siblings": [{"rfilename": "rows.jsonl"}],
            "cardData": {"license": "mit"},
            "tags": [],
            "private": False,
        }
        self._send(200, json.dumps(info).encode(), {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
        """Keep quiet."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Serve the data set for as long as the module runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), StandIn) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the caches."""
    return tmp_path_factory.mktemp("hf")


@pytest.fixture(scope="module")
def online(endpoint: str, home: Path) -> list[dict[str, object]]:
    """Ask all of `ASKED` of the Hub, the old commit last."""
    return ask(endpoint, home, ASKED)


def ask(
    endpoint: str, home: Path, specs: list[dict[str, object]], *, offline: bool = False
) -> list[dict[str, object]]:
    """Open each spec's rows in a fresh process and return what it got."""
    offline_flag = {"HF_HUB_OFFLINE": "1"} if offline else {}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(specs)],
        env={**kept, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), **offline_flag},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_revision_is_resolved_once_and_recorded(online: list[dict[str, object]]) -> None:
    """Nothing, a tag and a commit each give the rows of their commit, which is recorded."""
    latest, *_, tag, commit = online

    assert (latest["texts"], latest["revision"]) == (["new one"], NEW)
    assert (tag["texts"], tag["revision"]) == (["old one", "old two"], OLD)
    assert (commit["texts"], commit["revision"]) == (tag["texts"], OLD)
    assert tag["ids"] == ["train[0]", "train[1]"]
    assert (tag["where"], tag["source"], tag["licence"]) == ("hub", "owner/set", "mit")


def test_what_does_not_exist_is_named(online: list[dict[str, object]]) -> None:
    """A revision, a data set, a split and a file: each error says which, and what to do."""
    revision, missing, split, files = (str(got["error"]) for got in online[1:5])

    assert "owner/set at revision v9 does not exist: the data set does" in revision
    assert "'owner/none' is neither a file or folder here nor a data set on the Hub" in missing
    assert f"owner/set at {NEW}, split 'test') cannot be read" in split
    assert f"b.jsonl (owner/set at {NEW}" in files


@pytest.mark.usefixtures("online")  # they fill the cache
def test_another_commit_in_the_cache_is_never_taken_instead(endpoint: str, home: Path) -> None:
    """Offline, `datasets` offers what it unpacked last, whichever commit that was."""
    asked: list[dict[str, object]] = [{"revision": OLD}, {"revision": NEW}, {}]

    same, other, unresolved = ask(endpoint, home, asked, offline=True)

    assert same["texts"] == ["old one", "old two"]
    assert f"gave another version of it ({OLD}), which is not used" in str(other["error"])
    assert "could not be looked up" in str(unresolved["error"])


def test_a_commit_needs_no_call() -> None:
    """A full commit is itself: this process is offline, and gets it."""
    assert Pinned(OLD, None) == pin("owner/set", OLD)


def test_an_unreachable_hub_is_named() -> None:
    """Offline, a branch cannot be resolved, and the remedy is said."""
    with pytest.raises(CalibrationSourceError, match=r"revision main .*could not be looked up.*40"):
        pin("owner/set", None)


@pytest.mark.parametrize("path", ["rows", "a/b/c", "./a", "../a", "/a/b", "a/", "a b/c"])
def test_a_path_is_no_id(path: str) -> None:
    """What looks like a path is never sent to the Hub."""
    assert None is HUB_ID.fullmatch(path)


def test_pictures_of_a_frame_are_left_encoded(tmp_path: Path) -> None:
    """A set of thousands of pictures is not decoded to read one row."""
    features = Features({"image": Image(), "text": Value("string")})
    rows = {"image": [{"bytes": picture(), "path": None}] * 2, "text": ["one", "two"]}
    path = tmp_path / "rows.parquet"
    Dataset.from_dict(rows, features=features).to_parquet(path)

    row = frame_table(load_frame("parquet", data_files=[str(path)]), "train").fetch(1)

    assert ("train[1]", {"bytes": picture(), "path": None}, "two") == (
        row.id,
        row.values["image"],
        row.values["text"],
    )


def test_a_corrupt_parquet_file_is_named(tmp_path: Path) -> None:
    """The file's name is in the message, with what `datasets` said."""
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and then nothing of the kind PAR1")

    with pytest.raises(CalibrationSourceError, match=r"rows\.parquet \(parquet files\) cannot be"):
        load_frame("parquet", data_files=[str(path)])
