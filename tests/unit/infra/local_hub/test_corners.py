"""Rare cases, each of which somebody will meet."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from infra.local_hub import uploads
from infra.local_hub.largefiles import Pointer
from infra.local_hub.refusals import Refusal
from infra.local_hub.repository import Repository, signed_commit
from infra.local_hub.revisions import resolve
from tests.support.git import git
from tests.support.local_hub import LocalHub

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 5\n"


def lines(*rows: object) -> bytes:
    """Return a commit's body."""
    return b"\n".join(json.dumps(row).encode() for row in rows)


HEADER = {"key": "header", "value": {"summary": "a commit"}}


def test_may_i(hub: LocalHub, api: HfApi, repo_id: str) -> None:
    """Whoever asks before a long work is told in advance."""
    api.auth_check(repo_id, write=True)
    hub.api(hub.read_token).auth_check(repo_id)

    with pytest.raises(HfHubHTTPError) as refusal:
        hub.api(hub.read_token).auth_check(repo_id, write=True)
    assert refusal.value.response.status_code == 403


def test_a_card_without_metadata(anybody: httpx2.Client) -> None:
    """It is a warning, as on huggingface.co."""
    answer = anybody.post("/api/validate-yaml", json={"content": "# A card\n"})

    assert answer.status_code == 200
    assert answer.json()["warnings"][0]["message"].startswith("empty or missing yaml")


def test_a_sample_that_is_no_base64(raw: httpx2.Client, still: str) -> None:
    """It is told which file's."""
    asked = {"files": [{"path": "a.bin", "size": 1, "sample": "%"}]}

    answer = raw.post(f"/api/models/{still}/preupload/main", json=asked)

    assert answer.status_code == 400
    assert "sample of a.bin" in answer.json()["error"]


def test_a_form_that_is_no_text(raw: httpx2.Client, still: str) -> None:
    """It is refused as a malformed request."""
    assert raw.post(f"/api/models/{still}/paths-info/main", content=b"\xff").status_code == 400


def test_settings_that_are_not_there(raw: httpx2.Client, still: str) -> None:
    """Gating is refused, and so is nothing at all."""
    for asked in ({}, {"gated": "auto"}, {"surprise": 1}):
        assert raw.put(f"/api/models/{still}/settings", json=asked).status_code == 400


def test_a_model_without_a_namespace(raw: httpx2.Client, anybody: httpx2.Client) -> None:
    """Only huggingface.co has these; here there are none."""
    assert raw.get("/api/models/gpt2").headers["X-Error-Code"] == "RepoNotFound"
    assert anybody.get("/api/models/gpt2").status_code == 401


def test_a_small_file_that_looks_like_a_pointer(
    api: HfApi, raw: httpx2.Client, repo_id: str
) -> None:
    """It points at nothing here, and the download says so instead of giving the pointer."""
    content = base64.b64encode(POINTER).decode()
    row = {"key": "file", "value": {"path": "m.safetensors", "content": content}}
    answer = raw.post(f"/api/models/{repo_id}/commit/main", content=lines(HEADER, row))

    assert answer.status_code == 200
    answer = raw.get(f"/{repo_id}/resolve/main/m.safetensors")
    assert answer.status_code == 404
    assert "never sent" in answer.json()["error"]
    assert "m.safetensors" in api.list_repo_files(repo_id)


@pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # the client's own
def test_a_large_file_of_another_size(api: HfApi, raw: httpx2.Client, repo_id: str) -> None:
    """The pointer tells the size that the content has, so another one is refused."""
    data = bytes(1000)
    api.create_commit(repo_id, [CommitOperationAdd("a.bin", data)], commit_message="m")
    oid = hashlib.sha256(data).hexdigest()

    for size, status in ((999, 400), (1 << 50, 413), (1000, 200)):
        row = {"key": "lfsFile", "value": {"path": "b.bin", "oid": oid, "size": size}}
        answer = raw.post(f"/api/models/{repo_id}/commit/main", content=lines(HEADER, row))
        assert answer.status_code == status, answer.text


def test_text_that_is_sent_as_text(raw: httpx2.Client, repo_id: str, folder: Path) -> None:
    """Small files may come without base64, too."""
    row = {"key": "file", "value": {"path": "a", "content": "grün", "encoding": "utf-8"}}

    raw.post(f"/api/models/{repo_id}/commit/refs%2fheads%2fmain", content=lines(HEADER, row))

    assert git(folder, "show", "main:a") == "grün"


def test_what_does_not_exist_cannot_be_deleted(raw: httpx2.Client, still: str) -> None:
    """A branch, a tag, a folder; nor can it be squashed or committed to."""
    folder = {"key": "deletedFolder", "value": {"path": "none/"}}
    base = f"/api/models/{still}"

    assert raw.delete(f"{base}/branch/none").status_code == 404
    assert raw.delete(f"{base}/tag/none").status_code == 404
    assert raw.post(f"{base}/super-squash/none", json={"message": "m"}).status_code == 400
    assert raw.post(f"{base}/commit/none", content=lines(HEADER)).status_code == 404
    assert raw.post(f"{base}/commit/main", content=lines(HEADER, folder)).status_code == 404


def test_a_zero_byte_in_a_tags_message(raw: httpx2.Client, still: str) -> None:
    """Git could not keep it."""
    asked = {"tag": "v1", "message": "a\0b"}

    assert raw.post(f"/api/models/{still}/tag/main", json=asked).status_code == 400


def test_a_short_name_of_several_commits(hub: LocalHub, raw: httpx2.Client, repo_id: str) -> None:
    """It names none of them; one digit more does."""
    repository = Repository(hub.root, "models", *repo_id.split("/"))
    with repository.objects() as objects:
        tree = objects.commit(resolve("main", objects, repository.references())).tree.decode()
        seen: dict[str, str] = {}
        for number in range(1_000_000):
            commit = signed_commit(tree, [], f"{number}", "alice")
            commit.commit_time = commit.author_time = 0
            sha = commit.id.decode()
            if sha[:7] in seen:
                break
            seen[sha[:7]] = f"{number}"
        other = signed_commit(tree, [], seen[sha[:7]], "alice")
        other.commit_time = other.author_time = 0
        objects.add(commit)
        objects.add(other)
        objects.settle()

    answer = raw.get(f"/api/models/{repo_id}/revision/{sha[:7]}")

    assert answer.status_code == 404
    assert "begins 2 commits" in answer.json()["error"]
    longer = next(n for n in range(8, 41) if sha[:n] != other.id.decode()[:n])
    assert raw.get(f"/api/models/{repo_id}/revision/{sha[:longer]}").json()["sha"] == sha


def test_uploads_that_nobody_goes_on_with(hub: LocalHub, raw: httpx2.Client, still: str) -> None:
    """They are removed when their addresses are worth nothing any more."""
    folder = uploads.folder_of(hub.root, "old")
    folder.mkdir(parents=True)
    (folder / "data").write_bytes(b"x")
    for path in (folder / "data", folder):
        os.utime(path, (0, 0))

    asked = {"operation": "upload", "objects": []}
    raw.post(f"/{still}.git/info/lfs/objects/batch", json=asked).raise_for_status()

    assert not folder.exists()


def test_parts_that_are_still_on_their_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may write to what has been judged: one waits for the other, and not for ever."""
    monkeypatch.setattr(uploads, "PATIENCE_SECONDS", 0.0)
    pointer = Pointer("0" * 64, 1)

    with uploads._shared(tmp_path), pytest.raises(Refusal) as refusal:
        uploads.complete(tmp_path, tmp_path, pointer, 1, {1: "x"})
    assert refusal.value.status == 503

    with uploads._alone(tmp_path), pytest.raises(Refusal) as refusal, uploads._shared(tmp_path):
        pass
    assert refusal.value.status == 409


def test_data_that_cannot_be_read(hub: LocalHub, raw: httpx2.Client, repo_id: str) -> None:
    """The client is told to ask the operator, and the log says where; others are not affected."""
    about = hub.folder(repo_id) / "hub" / "about.json"
    aside = about.rename(about.with_name("aside"))
    about.mkdir()
    try:
        answer = raw.get(f"/api/models/{repo_id}")
    finally:
        about.rmdir()
        aside.rename(about)

    assert answer.status_code == 500
    assert "its log says why" in answer.json()["error"]
    assert str(hub.root) not in answer.text
    assert raw.get(f"/api/models/{repo_id}").status_code == 200


def test_what_nobody_foresaw(
    hub: LocalHub, raw: httpx2.Client, repo_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A repository that somebody has damaged: one sentence for the client, all else for the log."""
    folder = hub.folder(repo_id)
    tree = git(folder, "rev-parse", "main^{tree}").strip()
    (folder / "objects" / tree[:2] / tree[2:]).unlink()

    answer = raw.get(f"/api/models/{repo_id}")

    assert answer.status_code == 500
    assert answer.json()["error"].startswith("Something went wrong in the Hub")
    assert raw.get("/api/health").json() is True
    assert [record.message for record in caplog.records if record.exc_info] == [
        f"Nobody foresaw this, at GET /api/models/{repo_id}."
    ]


def test_a_client_that_goes_in_the_middle(hub: LocalHub, raw: httpx2.Client, still: str) -> None:
    """Nothing is logged as an error of the Hub's, and it goes on."""

    def body() -> Iterator[bytes]:
        yield b'{"key": '
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        raw.post(f"/api/models/{still}/commit/main", content=body())

    assert raw.get("/api/health").json() is True
    assert hub.requests
