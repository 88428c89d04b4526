"""A Hub on loopback that speaks what the real client needs in order to read models.

It serves repositories from memory: information and file lists of a revision, and the files, with
the headers that `huggingface_hub` asks for.  Weights are announced as LFS objects, by their
SHA-256, as the real Hub does.  A list of all requests is kept, so that a test can say what must
not be asked.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from urllib.parse import unquote, urlsplit


@dataclass(kw_only=True)
class HubRepository:
    """A repository: commits, names for them, and who may read it."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    token: str | None = None  # only its bearer may read
    gated: bool = False
    damaged: frozenset[str] = frozenset()  # files that arrive with one byte changed

    def commit(self, folder: Path, *, ref: str = "main") -> str:
        """Add all files of a folder as a commit, point ``ref`` at it, and return its 40 digits."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        text = json.dumps({path: hashlib.sha256(data).hexdigest() for path, data in files.items()})
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.commits[sha] = files
        self.refs[ref] = sha
        return sha

    def find(self, revision: str) -> str | None:
        """Return the commit of a branch, a tag, a commit or the beginning of one."""
        if revision in self.refs:
            return self.refs[revision]
        return next((sha for sha in self.commits if sha.startswith(revision)), None)


@dataclass
class StandIn:
    """A running stand-in."""

    endpoint: str
    repositories: dict[str, HubRepository]
    requests: list[str] = field(default_factory=list)
    down: bool = False  # every answer is then 503


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def serve_hub(repositories: dict[str, HubRepository]) -> Iterator[StandIn]:
    """Serve repositories, by their ids, until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    hub = server.hub = StandIn(f"http://127.0.0.1:{server.server_address[1]}", repositories)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    hub: StandIn


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._reply()

    def do_HEAD(self) -> None:
        self._reply()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as inherited
        """Stay silent."""

    def _reply(self) -> None:
        assert isinstance(self.server, _Server)
        hub = self.server.hub
        path = urlsplit(self.path).path
        hub.requests.append(f"{self.command} {unquote(path)}")
        answer = answer_to(hub, path, self.headers.get("Authorization"))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(answer.body)


def answer_to(hub: StandIn, path: str, authorization: str | None) -> _Answer:
    """Return what the Hub says to a request."""
    if hub.down:
        return _refusal(503, "down")
    parts = [unquote(part) for part in path.strip("/").split("/")]
    api = parts[:2] == ["api", "models"]
    owner_name, rest = (
        ("/".join(parts[2:4]), parts[4:]) if api else ("/".join(parts[:2]), parts[2:])
    )
    repository = hub.repositories.get(owner_name)
    if repository is None or (
        repository.token is not None and authorization != f"Bearer {repository.token}"
    ):
        return _refusal(401, "Repository not found", code="RepoNotFound")
    verb, revision = (rest[0], rest[1]) if rest else ("revision", "main")
    sha = repository.find(revision)
    if sha is None:
        return _refusal(404, f"Invalid rev id: {revision}", code="RevisionNotFound")
    if verb == "revision":
        return _info(owner_name, repository, sha)
    if verb == "tree":
        return _json([_entry(name, data) for name, data in repository.commits[sha].items()])
    return _file(repository, sha, "/".join(rest[2:]))


def _json(content: object) -> _Answer:
    return _Answer(200, {"Content-Type": "application/json"}, json.dumps(content).encode())


def _refusal(status: int, message: str, *, code: str | None = None) -> _Answer:
    headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return _Answer(status, headers, json.dumps({"error": message}).encode())


def _info(name: str, repository: HubRepository, sha: str) -> _Answer:
    return _json(
        {
            "_id": "0" * 24,
            "id": name,
            "modelId": name,
            "sha": sha,
            "private": repository.token is not None,
            "gated": "manual" if repository.gated else False,
            "tags": [],
            "siblings": [{"rfilename": path} for path in repository.commits[sha]],
        }
    )


def _entry(path: str, data: bytes) -> dict[str, object]:
    entry = {"type": "file", "path": path, "size": len(data), "oid": _git_oid(data)}
    if path.endswith(".safetensors"):
        lfs = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        entry["lfs"] = lfs
    return entry


def _file(repository: HubRepository, sha: str, path: str) -> _Answer:
    if repository.gated:
        return _refusal(403, "Access to this model is restricted", code="GatedRepo")
    data = repository.commits[sha].get(path)
    if data is None:
        return _refusal(404, "Entry not found", code="EntryNotFound")
    headers = {"X-Repo-Commit": sha, "ETag": f'"{_git_oid(data)}"'}
    if path.endswith(".safetensors"):
        headers["X-Linked-ETag"] = f'"{hashlib.sha256(data).hexdigest()}"'
        headers["X-Linked-Size"] = str(len(data))
    if path in repository.damaged:
        data = data[:-1] + bytes([data[-1] ^ 1])
    return _Answer(200, headers, data)


def _git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
