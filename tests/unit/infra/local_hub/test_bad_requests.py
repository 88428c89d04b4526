"""What nobody should send: each is refused with a reason, and nothing of it is kept."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from infra.local_hub import grants
from infra.local_hub.access import issue_token
from infra.local_hub.grants import Grant
from infra.local_hub.largefiles import Pointer, adopt
from infra.local_hub.refusals import Refusal
from tests.support.local_hub import LocalHub
from tests.unit.infra.local_hub.conftest import PART_BYTES

MIB = 1 << 20
NDJSON = {"Content-Type": "application/x-ndjson"}


def lines(*rows: Any) -> bytes:
    """Return a commit's body."""
    return b"\n".join(json.dumps(row).encode() for row in rows)


def header(**more: str) -> dict[str, Any]:
    """Return the first line of a commit."""
    return {"key": "header", "value": {"summary": "a commit", **more}}


def file(path: str, content: bytes = b"x") -> dict[str, Any]:
    """Return the line of a small file."""
    return {"key": "file", "value": {"path": path, "content": base64.b64encode(content).decode()}}


def post_commit(raw: httpx2.Client, repo_id: str, *rows: Any) -> httpx2.Response:
    """Send a commit to the default branch."""
    return raw.post(f"/api/models/{repo_id}/commit/main", content=lines(*rows), headers=NDJSON)


def why(response: httpx2.Response) -> str:
    """Return the reason of a refusal, which the header has, too."""
    message: str = response.json()["error"]
    assert response.headers["X-Error-Message"]
    return message


PATHS = (
    "../x", "a/../../x", "/etc/passwd", ".git/config", "a/.GIT/hooks/x", "git~1/x", ".git /x",
    "a\\b", "..\\x", "a\x00b", "a\nb", "a//b", "./a", "a/", "", ".", "..", ".gitmodules",
    "a/.g\u200cit/x", "x" * 256, "/".join("d" * 65), "a/" * 3000 + "b",
)  # fmt: skip


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", PATHS)
def test_paths_that_lead_elsewhere(raw: httpx2.Client, still: str, path: str) -> None:
    """Out of the repository, into git's own files, or to where no file can be."""
    answers = [
        post_commit(raw, still, header(), file(path)),
        post_commit(raw, still, header(), {"key": "deletedFile", "value": {"path": path}}),
        raw.post(
            f"/api/models/{still}/preupload/main", json={"files": [{"path": path, "size": 1}]}
        ),
    ]

    assert {answer.status_code for answer in answers} == {400}, [a.text for a in answers]
    assert "path" in why(answers[0]).lower()


REFS = (
    "../../../x", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", ".a", "a/.b",
    "a.lock",     "a/", "/a", "a//b", "@{u}", "-x", "HEAD", "refs/heads/x", "a\x7f", "f" * 40,
    "x" * 201, "",
)  # fmt: skip


@pytest.mark.parametrize("name", REFS)
def test_names_that_no_reference_can_have(raw: httpx2.Client, still: str, name: str) -> None:
    """They would be files elsewhere, options of git, or taken for commits."""
    answer = raw.post(f"/api/models/{still}/tag/main", json={"tag": name})

    assert answer.status_code == 400
    assert "Invalid reference name" in why(answer)


@pytest.mark.parametrize(
    "name", ["..", "a..b", "a--b", ".git", "x.git", "a b", "a/b/c", "-a", "ü", "x" * 97, "", "a\\b"]
)
def test_names_that_no_repository_can_have(raw: httpx2.Client, hub: LocalHub, name: str) -> None:
    """They are refused before they become part of a path."""
    answer = raw.post("/api/repos/create", json={"name": name, "organization": "acme"})

    assert answer.status_code == 400
    assert "no name of a repository" in why(answer)
    assert {p.suffix for p in (hub.root / "models" / "acme").glob("*")} <= {".git"}


@pytest.mark.parametrize(
    "address",
    [
        "/api/models/..%2f..%2fetc/passwd",
        "/api/models/acme/%2e%2e%2f%2e%2e%2ftokens",
        "/acme/..%2f..%2ftokens/resolve/main/x",
        "/api/elsewhere/acme/x",
        "/api/models/api/x",
    ],
)
def test_addresses_that_lead_elsewhere(raw: httpx2.Client, address: str) -> None:
    """What is percent-encoded is checked as what it stands for."""
    assert raw.get(address).status_code == 400


@pytest.mark.parametrize(
    "revision",
    ["..%2f..%2f..%2fupload.key", "%2e%2e%2fhub%2fabout.json", "HEAD%00", "refs%2fheads"],
)
def test_revisions_that_lead_elsewhere(raw: httpx2.Client, still: str, revision: str) -> None:
    """They name nothing; no file but a reference is ever read for one."""
    for what in ("revision", "tree", "commits"):
        answer = raw.get(f"/api/models/{still}/{what}/{revision}")
        assert answer.status_code == 404
        assert answer.headers["X-Error-Code"] == "RevisionNotFound"


@pytest.mark.parametrize("path", ["..%2f..%2fHEAD", "%2fetc%2fpasswd", ".git%2fconfig", "%00"])
def test_downloads_that_lead_elsewhere(raw: httpx2.Client, still: str, path: str) -> None:
    """A path is looked up among the revision's files, and never on the disk."""
    answer = raw.get(f"/{still}/resolve/main/{path}")

    assert answer.status_code == 404
    assert answer.headers["X-Error-Code"] == "EntryNotFound"


BODIES = {
    "no JSON": b"{",
    "no object": b"[]",
    "no text": b"\xff\xfe",
    "half a character": b'{"tag": "\\ud800"}',
    "a wrong type": b'{"tag": 7}',
    "nothing": b"",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_malformed_json(raw: httpx2.Client, still: str, body: bytes) -> None:
    """The answer says where it is wrong."""
    answer = raw.post(f"/api/models/{still}/tag/main", content=body)

    assert answer.status_code == 400
    assert "Invalid request" in why(answer)


COMMITS = {
    "no header": [file("a")],
    "two headers": [header(), header()],
    "no summary": [{"key": "header", "value": {}}],
    "an unknown line": [header(), {"key": "surprise", "value": {}}],
    "no base64": [header(), {"key": "file", "value": {"path": "a", "content": "%%%"}}],
    "no digest": [header(), {"key": "lfsFile", "value": {"path": "a", "oid": "../x", "size": 1}}],
    "a file that is a folder": [header(), file("a"), file("a/b")],
    "a zero byte in the message": [header(description="a\0b")],
    "a parent that is none": [header(parentCommit="main")],
    "attributes that git would not read": [header(), file(".gitattributes", b"x" * 3000)],
    "nothing": [],
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("rows", COMMITS.values(), ids=COMMITS)
def test_malformed_commits(raw: httpx2.Client, still: str, rows: list[Any]) -> None:
    """The branch stays where it was, and the repository sound."""
    answer = post_commit(raw, still, *rows)

    assert answer.status_code == 400, answer.text
    assert why(answer)


def test_a_line_that_is_cut_short(raw: httpx2.Client, still: str) -> None:
    """The answer names the line."""
    body = lines(header(), file("a")) + b'\n{"key": "file", "val'

    answer = raw.post(f"/api/models/{still}/commit/main", content=body)

    assert answer.status_code == 400
    assert "Line 3" in why(answer)


def endless(total: int, sent: list[int]) -> Iterator[bytes]:
    """Yield zero bytes, and count what was taken."""
    for _ in range(total // MIB):
        sent.append(MIB)
        yield bytes(MIB)


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    "address", ["commit/main", "preupload/main", "tag/main", "paths-info/main", "super-squash/main"]
)
def test_a_body_of_100_mb(raw: httpx2.Client, still: str, address: str, *, announced: bool) -> None:
    """It is refused by what it says of itself, or as soon as more than the limit has come."""
    size = 100 * MIB
    length = {"Content-Length": str(size)} if announced else {}

    answer = raw.post(
        f"/api/models/{still}/{address}", content=endless(size, []), headers=length, timeout=60
    )

    assert answer.status_code == 413
    assert "larger than the" in why(answer)


def test_access_comes_before_the_body(anybody: httpx2.Client, still: str) -> None:
    """Whoever may not commit is told so, and not how large commits may be."""
    answer = anybody.post(
        f"/api/models/{still}/commit/main", content=endless(100 * MIB, []), timeout=60
    )

    assert answer.status_code == 401


def test_too_many_operations(raw: httpx2.Client, still: str) -> None:
    """A commit has a number of files that can be handled at once."""
    answer = post_commit(raw, still, header(), *(file(f"f{n}", b"") for n in range(25_000)))

    assert answer.status_code == 413


def test_metadata_that_would_take_long(anybody: httpx2.Client) -> None:
    """Anybody may have a card checked, so there is an end to what is checked."""
    card = "---\n" + "a: [1, 2]\n" * 100_000 + "---\n"

    answer = anybody.post("/api/validate-yaml", json={"content": card})

    assert answer.status_code == 413


@pytest.mark.parametrize(
    "content", ["---\n" + "[" * 50_000 + "\n---\n", "---\nx: !!python/object:a\n---"]
)
def test_metadata_that_is_no_metadata(anybody: httpx2.Client, content: str) -> None:
    """It is told what is wrong, and nothing is made of it."""
    answer = anybody.post("/api/validate-yaml", json={"content": content})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"]


def batch(raw: httpx2.Client, repo_id: str, oid: str, size: int) -> dict[str, Any]:
    """Ask where to send a large file."""
    answer = raw.post(
        f"/{repo_id}.git/info/lfs/objects/batch",
        json={
            "operation": "upload",
            "transfers": ["basic", "multipart"],
            "objects": [{"oid": oid, "size": size}],
        },
    )
    assert answer.status_code == 200, answer.text
    row: dict[str, Any] = answer.json()["objects"][0]
    return row


def oid_of(data: bytes) -> str:
    """Return the name of a large file."""
    return hashlib.sha256(data).hexdigest()


def test_a_large_file_that_is_too_large(raw: httpx2.Client, still: str) -> None:
    """It is told before anything is sent."""
    row = batch(raw, still, oid_of(b"x"), 1 << 50)

    assert row["error"]["code"] == 413
    assert "actions" not in row


@pytest.mark.parametrize("oid", ["../../x", "A" * 64, "ab", ""])
def test_a_digest_that_is_none(raw: httpx2.Client, still: str, oid: str) -> None:
    """It would become a path."""
    answer = raw.post(
        f"/{still}.git/info/lfs/objects/batch",
        json={"operation": "upload", "objects": [{"oid": oid, "size": 1}]},
    )

    assert answer.status_code == 400


def test_an_upload_address_needs_no_token_and_gives_nothing_else(
    raw: httpx2.Client, anybody: httpx2.Client, repo_id: str
) -> None:
    """It is good for its one file: other bytes, more bytes and fewer bytes are refused."""
    data = b"\0" * 1000
    href = batch(raw, repo_id, oid_of(data), len(data))["actions"]["upload"]["href"]

    assert anybody.put(href, content=b"\1" * 1000).status_code == 400
    assert anybody.put(href, content=data + b"\0").status_code == 413
    assert anybody.put(href, content=iter([data, b"\0"])).status_code == 400
    assert anybody.put(href, content=data[:-1]).status_code == 400
    assert anybody.get(href).status_code == 405
    assert anybody.put(href, content=data).status_code == 200
    assert batch(raw, repo_id, oid_of(data), len(data)) == {"oid": oid_of(data), "size": 1000}


def test_an_upload_address_that_was_changed(
    raw: httpx2.Client, anybody: httpx2.Client, repo_id: str, hub: LocalHub
) -> None:
    """Signed by somebody else, for something else, or too late: it is worth nothing."""
    data = b"\0" * 1000
    href = batch(raw, repo_id, oid_of(data), len(data))["actions"]["upload"]["href"]
    word = href.rpartition("/")[2]
    key = grants.signing_key(hub.root)
    grant = grants.read(word, key)
    other = grants.sign(grant.model_copy(update={"oid": oid_of(b"x")}), b"another key")
    late = grants.sign(grant.model_copy(update={"until": int(time.time()) - 1}), key)
    body, _, signature = word.partition(".")
    mixed = f"{other.partition('.')[0]}.{signature}"

    for bad in (other, late, mixed, body, f"{body}.", "x", "x.y", "%2e.%2e", f"{word}.z"):
        answer = anybody.put(f"/_lfs/{bad}", content=data)
        assert answer.status_code == 403, bad
        assert "upload address" in why(answer)


def test_an_upload_address_of_a_repository_that_is_gone(
    raw: httpx2.Client, api: HfApi, repo_id: str
) -> None:
    """Its room is not made for anybody any more."""
    href = batch(raw, repo_id, oid_of(b"\0"), 1)["actions"]["upload"]["href"]
    api.delete_repo(repo_id)

    assert raw.put(href, content=b"\0").status_code == 404


def test_a_repository_that_goes_while_a_file_comes(tmp_path: Path) -> None:
    """The file does not bring it back, nor stand in the way of a new one."""
    received = tmp_path / "received"
    received.write_bytes(b"x")

    with pytest.raises(Refusal) as refusal:
        adopt(tmp_path / "gone.git", Pointer(oid_of(b"x"), 1), received)

    assert refusal.value.code == "RepoNotFound"
    assert not (tmp_path / "gone.git").exists()


def test_parts_that_do_not_fit_together(raw: httpx2.Client, repo_id: str, folder: Path) -> None:
    """Missing, misnamed, too many, of another length: the file is not there until all are right."""
    data = bytes(range(256)) * (PART_BYTES // 256) + b"end"
    upload = batch(raw, repo_id, oid_of(data), len(data))["actions"]["upload"]
    first, second, whole = upload["header"]["1"], upload["header"]["2"], upload["href"]

    def complete(*etags: str) -> int:
        parts = [{"partNumber": n, "etag": etag} for n, etag in enumerate(etags, 1)]
        return raw.post(whole, json={"oid": oid_of(data), "parts": parts}).status_code

    assert complete("a", "b") == 400
    one = raw.put(first, content=data[:PART_BYTES]).headers["ETag"]
    assert raw.put(second, content=b"en").status_code == 400
    assert raw.put(f"{whole}/3", content=b"x").status_code == 400
    assert raw.put(f"{whole}/0", content=b"x").status_code == 422
    assert complete(one, one) == 400
    two = raw.put(second, content=b"END").headers["ETag"]
    assert complete(one, two) == 400
    assert not [path for path in (folder / "lfs").rglob("*") if path.is_file()]
    one = raw.put(first, content=data[:PART_BYTES]).headers["ETag"]
    two = raw.put(second, content=b"end").headers["ETag"]
    assert complete(one) == 400
    assert complete(one, two) == 200
    assert complete(one, two) == 200, "the answer to the first may have been lost"


def test_verifying_what_is_not_here(raw: httpx2.Client, still: str) -> None:
    """The client asks after each upload, and must not be told yes for nothing."""
    answer = raw.post(f"/{still}.git/info/lfs/verify", json={"oid": oid_of(b"none"), "size": 4})

    assert answer.status_code == 404


def test_pull_requests_are_not_offered(api: HfApi, raw: httpx2.Client, still: str) -> None:
    """They are refused, instead of being carried out as commits."""
    answer = raw.post(
        f"/api/models/{still}/commit/main?create_pr=1", content=lines(header(), file("a"))
    )

    assert answer.status_code == 501
    assert len(api.list_repo_commits(still)) == 1


def test_an_address_that_is_none(raw: httpx2.Client) -> None:
    """Also what is wrong with the address is told in JSON."""
    assert "nothing at this address" in why(raw.get("/no/such/thing/here"))
    assert raw.put("/api/whoami-v2").status_code == 405


def test_a_host_that_is_none(raw: httpx2.Client, still: str) -> None:
    """Addresses are made of it, so it must be one."""
    answer = raw.post(
        f"/{still}.git/info/lfs/objects/batch",
        json={"operation": "upload", "objects": []},
        headers={"Host": "evil.example/<script>"},
    )

    assert answer.status_code == 400


@pytest.fixture(scope="module")
def ten(raw: httpx2.Client) -> str:
    """Return the address of a file of ten bytes."""
    raw.post("/api/repos/create", json={"name": "ten"}).raise_for_status()
    post_commit(raw, "alice/ten", header(), file("ten", b"0123456789")).raise_for_status()
    return "/alice/ten/resolve/main/ten"


RANGES = {
    "bytes=0-3": (206, b"0123"),
    "bytes=8-": (206, b"89"),
    "bytes=-3": (206, b"789"),
    "bytes=5-500": (206, b"56789"),
    "bytes=10-": (416, b""),
    "bytes=3-1": (416, b""),
    "bytes=-": (200, b"0123456789"),
    "lines=1-2": (200, b"0123456789"),
    "bytes=0-1,3-4": (200, b"0123456789"),
}


@pytest.mark.parametrize(("asked", "expected"), RANGES.items(), ids=RANGES)
def test_parts_of_small_files(
    raw: httpx2.Client, ten: str, asked: str, expected: tuple[int, bytes]
) -> None:
    """A download goes on where it was cut, and never with the wrong bytes."""
    answer = raw.get(ten, headers={"Range": asked})

    assert (answer.status_code, answer.content if expected[0] != 416 else b"") == expected


def test_files_are_data_to_a_browser(api: HfApi, raw: httpx2.Client, repo_id: str) -> None:
    """A page that somebody published is not run in the Hub's name."""
    page = b"<script>alert(1)</script>"
    api.create_commit(repo_id, [CommitOperationAdd("x.html", page)], commit_message="m")

    headers = raw.get(f"/{repo_id}/resolve/main/x.html").headers

    assert headers["Content-Type"].startswith("text/plain")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]


WITHOUT_RIGHTS = (
    ("POST", "/api/repos/create", {"name": "new", "organization": "acme"}),
    ("DELETE", "/api/repos/delete", {"name": "private", "organization": "acme"}),
    ("PUT", "/api/models/acme/public/settings", {"private": True}),
    ("POST", "/api/models/acme/public/branch/b", {}),
    ("DELETE", "/api/models/acme/public/branch/b", None),
    ("POST", "/api/models/acme/public/tag/main", {"tag": "t"}),
    ("DELETE", "/api/models/acme/public/tag/t", None),
    ("POST", "/api/models/acme/public/super-squash/main", {"message": "m"}),
    ("POST", "/api/models/acme/public/preupload/main", {"files": []}),
    ("POST", "/api/models/acme/public/commit/main", {}),
    ("GET", "/api/models/acme/public/xet-write-token/main", None),
    ("GET", "/api/models/acme/public/auth-check/write", None),
    ("POST", "/acme/public.git/info/lfs/objects/batch", {"operation": "upload", "objects": []}),
    ("POST", "/acme/public.git/info/lfs/verify", {"oid": "0" * 64, "size": 0}),
)
HIDDEN = (
    ("GET", "/api/models/acme/private"),
    ("GET", "/api/models/acme/private/revision/main"),
    ("GET", "/api/models/acme/private/tree/main"),
    ("GET", "/api/models/acme/private/refs"),
    ("GET", "/api/models/acme/private/commits/main"),
    ("POST", "/api/models/acme/private/paths-info/main"),
    ("GET", "/api/models/acme/private/auth-check"),
    ("GET", "/api/models/acme/private/xet-read-token/main"),
    ("GET", "/acme/private/resolve/main/.gitattributes"),
    ("HEAD", "/acme/private/resolve/main/.gitattributes"),
    ("POST", "/api/models/acme/private/commit/main"),
    ("POST", "/api/models/acme/private/tag/main"),
    ("POST", "/acme/private.git/info/lfs/objects/batch"),
)


class Asking(NamedTuple):
    """Somebody, and how they are refused."""

    headers: dict[str, str]
    writing: int
    hidden: int


@pytest.fixture(scope="module")
def people(hub: LocalHub, raw: httpx2.Client) -> dict[str, Asking]:
    """Return those who have no rights under ``acme``, beside two repositories there."""
    for name in ("public", "private"):
        asked = {"name": name, "organization": "acme", "visibility": name}
        raw.post("/api/repos/create", json=asked).raise_for_status()
    return {
        "nobody": Asking({}, 401, 401),
        "a stranger": Asking(bearer(issue_token(hub.root, "mallory")), 403, 404),
        "a reader": Asking(bearer(hub.read_token), 403, 200),
    }


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(("method", "address", "body"), WITHOUT_RIGHTS)
@pytest.mark.parametrize("who", ["nobody", "a stranger", "a reader"])
def test_nobody_writes_without_the_right_to(
    anybody: httpx2.Client,
    people: dict[str, Asking],
    method: str,
    address: str,
    body: Any,
    who: str,
) -> None:
    """Every address that changes anything asks who is asking."""
    hidden = who == "a stranger" and "delete" in address  # what is hidden is not there to delete

    answer = anybody.request(method, address, json=body, headers=people[who].headers)

    assert answer.status_code == (people[who].hidden if hidden else people[who].writing)


@pytest.mark.parametrize(("method", "address"), HIDDEN)
@pytest.mark.parametrize("who", ["nobody", "a stranger"])
def test_what_is_private_is_not_there(
    anybody: httpx2.Client, people: dict[str, Asking], method: str, address: str, who: str
) -> None:
    """It looks to others exactly as a repository that does not exist."""
    headers = people[who].headers

    answer = anybody.request(method, address, headers=headers)
    nothing = anybody.request(method, address.replace("private", "nothing"), headers=headers)

    assert answer.status_code == nothing.status_code == people[who].hidden
    assert answer.headers["X-Error-Code"] == nothing.headers["X-Error-Code"] == "RepoNotFound"
    assert answer.content == nothing.content


@pytest.mark.parametrize(("method", "address"), HIDDEN[:2])
def test_a_reader_sees_what_is_private(
    anybody: httpx2.Client, people: dict[str, Asking], method: str, address: str
) -> None:
    """A token that reads opens the private part of its own namespaces."""
    answer = anybody.request(method, address, headers=people["a reader"].headers)

    assert answer.status_code == 200


@pytest.mark.parametrize("authorization", ["Bearer hf_nope", "Bearer", "Basic eDp5", "hf_x", ""])
def test_a_wrong_token_is_wrong_everywhere(anybody: httpx2.Client, authorization: str) -> None:
    """Also where none is needed: whoever shows one should hear that it is worth nothing."""
    for address in ("/api/models/acme/public", "/api/whoami-v2", "/acme/public/resolve/main/x"):
        answer = anybody.get(address, headers={"Authorization": authorization})
        assert answer.status_code == 401
        assert why(answer) == "Invalid credentials in Authorization header"


def test_a_grant_says_what_it_is_good_for() -> None:
    """Reading back what was signed gives the same."""
    grant = Grant(
        kind="models", namespace="a", name="b", oid="0" * 64, size=1, part_bytes=2, upload="u",
        until=int(time.time()) + 60,
    )  # fmt: skip

    assert grants.read(grants.sign(grant, b"key"), b"key") == grant
