"""Webhooks: who hears of what, with which secret, how often, and what is left of it."""

import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi, WebhookPayload

from infra.local_hub.access import issue_token
from infra.local_hub.outbox import Outbox
from infra.local_hub.serving import serving
from infra.local_hub.settings import HubSettings
from infra.local_hub.webhooks import Webhooks
from tests.support.git import git
from tests.support.listener import Heard, Listener, listening
from tests.support.local_hub import LocalHub

SECRET = "s3cr3t of the hook"  # noqa: S105 -- of a test
WATCHED = [{"type": "org", "name": "acme"}]


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Return something that hears."""
    with listening() as running:
        yield running


@pytest.fixture
def hook(api: HfApi, listener: Listener) -> Iterator[str]:
    """Return the id of a webhook of all repositories under ``acme``."""
    made = api.create_webhook(url=listener.url, watched=WATCHED, domains=["repo"], secret=SECRET)
    yield made.id
    api.delete_webhook(made.id)


def tag_events(listener: Listener) -> list[Heard]:
    """Return what was heard of tags."""
    return [
        heard
        for heard in listener.heard
        if any(ref["ref"].startswith("refs/tags/") for ref in heard.body.get("updatedRefs", ()))
    ]


def until(happened: Callable[[], object]) -> None:
    """Wait for something that happens in the background."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_a_tag_is_told(
    hub: LocalHub, api: HfApi, hook: str, listener: Listener, repo_id: str
) -> None:
    """In the Hub's words, with the secret, with the commit, once."""
    made = api.create_commit(repo_id, [CommitOperationAdd("x", b"x")], commit_message="m").oid
    api.create_tag(repo_id, tag="release/v1", revision=made, tag_message="annotated")

    until(lambda: tag_events(listener))

    (heard,) = tag_events(listener)
    payload = WebhookPayload(**heard.body)
    assert heard.headers["X-Webhook-Secret"] == SECRET
    assert heard.headers["Content-Type"] == "application/json"
    assert heard.body["event"] == {"action": "update", "scope": "repo.content"}
    assert heard.body["updatedRefs"] == [
        {"ref": "refs/tags/release/v1", "oldSha": None, "newSha": made}
    ]
    assert heard.body["repo"]["headSha"] == made
    assert heard.body["webhook"] == {"id": hook, "version": 3}
    assert payload.repo.name == repo_id
    assert payload.repo.url.api == f"{hub.endpoint}/api/models/{repo_id}"


def test_everything_that_changes_is_told(
    api: HfApi, hook: str, listener: Listener, repo_id: str
) -> None:
    """Commits, branches, tags, squashing, visibility, and the repository itself."""
    api.create_commit(repo_id, [CommitOperationAdd("x", b"x")], commit_message="m")
    api.create_branch(repo_id, branch="b")
    api.delete_branch(repo_id, branch="b")
    api.create_tag(repo_id, tag="t")
    api.delete_tag(repo_id, tag="t")
    api.super_squash_history(repo_id)
    api.update_repo_settings(repo_id, private=True)
    api.delete_repo(repo_id)

    until(lambda: len(listener.heard) == 9)

    told = [(h.body["event"]["action"], h.body["event"]["scope"]) for h in listener.heard]
    refs = [h.body["updatedRefs"][0] for h in listener.heard if "updatedRefs" in h.body]
    assert told == [("create", "repo"), *[("update", "repo.content")] * 6,
                    ("update", "repo.config"), ("delete", "repo")]  # fmt: skip
    assert [(r["ref"], r["oldSha"] is None, r["newSha"] is None) for r in refs] == [
        ("refs/heads/main", False, False),
        ("refs/heads/b", True, False),
        ("refs/heads/b", False, True),
        ("refs/tags/t", True, False),
        ("refs/tags/t", False, True),
        ("refs/heads/main", False, False),
    ]
    assert hook


def test_a_webhook_is_kept_as_the_client_made_it(api: HfApi, hook: str, listener: Listener) -> None:
    """It can be read, listed, changed, switched off and on, and deleted."""
    assert api.get_webhook(hook).secret == SECRET
    assert [made.id for made in api.list_webhooks()] == [hook]

    changed = api.update_webhook(hook, url=listener.url + "/else", domains=["repo", "discussion"])
    assert (changed.url, changed.domains) == (listener.url + "/else", ["repo", "discussion"])
    assert changed.watched[0].name == "acme", "what is not named stays"
    assert api.disable_webhook(hook).disabled
    assert not api.enable_webhook(hook).disabled


def test_secrets_are_for_nobody_else_to_read(hub: LocalHub, api: HfApi, hook: str) -> None:
    """Not in files that others may read, not by their tokens, not in what is kept of deliveries."""
    api.create_repo("acme/heard-of")
    until(lambda: list((hub.root / "deliveries" / hook).glob("*.json")))
    other = hub.api(issue_token(hub.root, "mallory", orgs=["acme"]))

    assert stat.S_IMODE((hub.root / "webhooks" / f"{hook}.json").stat().st_mode) == 0o600
    for path in (hub.root / "deliveries").rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert SECRET not in path.read_text()
    assert other.list_webhooks() == []
    for call in (other.get_webhook, other.disable_webhook, other.delete_webhook):
        with pytest.raises(Exception, match="404"):
            call(hook)


def test_nothing_is_told_of_what_the_owner_may_not_see(
    hub: LocalHub, api: HfApi, listener: Listener
) -> None:
    """Private repositories of others stay unheard of, also when they were public before."""
    stranger = hub.api(issue_token(hub.root, "eve"))
    stranger.create_webhook(url=listener.url, watched=WATCHED, domains=["repo"])
    api.create_repo("acme/unseen", private=True)
    api.create_tag("acme/unseen", tag="v1")
    api.create_repo("acme/seen")

    until(lambda: listener.heard)

    assert {heard.body["repo"]["name"] for heard in listener.heard} == {"acme/seen"}


def test_only_what_is_watched_is_told(api: HfApi, listener: Listener, repo_id: str) -> None:
    """One repository, of one type, in one domain, as long as it is not switched off."""
    model = api.create_webhook(
        url=listener.url, watched=[{"type": "model", "name": repo_id}], domains=["repo"]
    )
    api.create_webhook(url=listener.url, watched=WATCHED, domains=["discussion"])
    off = api.create_webhook(url=listener.url, watched=WATCHED, domains=["repo"])
    api.disable_webhook(off.id)
    api.create_repo(repo_id, repo_type="dataset")
    api.create_tag(repo_id, tag="v1")

    until(lambda: listener.heard)

    assert [heard.body["webhook"]["id"] for heard in listener.heard] == [model.id]


def deliveries(raw: httpx2.Client, hook: str) -> list[dict[str, Any]]:
    """Return what a webhook was told, newest first."""
    rows: list[dict[str, Any]] = raw.get(f"/api/settings/webhooks/{hook}/deliveries").json()
    return rows


def test_a_delivery_is_replayed(
    api: HfApi, raw: httpx2.Client, hook: str, listener: Listener, repo_id: str
) -> None:
    """The very same body, with the secret, as a delivery of its own."""
    api.create_tag(repo_id, tag="v1")
    until(lambda: deliveries(raw, hook) and deliveries(raw, hook)[0]["state"] == "delivered")
    first = deliveries(raw, hook)[0]

    answer = raw.post(f"/api/settings/webhooks/{hook}/replay/{first['id']}").json()
    until(lambda: len(tag_events(listener)) == 2)

    assert answer["replay_of"] == first["id"]
    assert tag_events(listener)[0].body == tag_events(listener)[1].body
    assert tag_events(listener)[1].headers["X-Webhook-Secret"] == SECRET
    assert raw.post(f"/api/settings/webhooks/{hook}/replay/..%2fx").status_code == 404
    assert raw.post(f"/api/settings/webhooks/none/replay/{first['id']}").status_code == 404


def test_a_receiver_that_is_down_for_a_while(
    api: HfApi, raw: httpx2.Client, hook: str, listener: Listener
) -> None:
    """It is tried again, and each try is written down."""
    listener.answers.extend([500, 503])

    api.create_repo("acme/told-late")
    until(lambda: deliveries(raw, hook) and deliveries(raw, hook)[0]["state"] == "delivered")

    attempts = deliveries(raw, hook)[0]["attempts"]
    assert [attempt["status"] for attempt in attempts] == [500, 503, 200]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://user:pw@127.0.0.1:9/x?y", "http://[::1]:9/"]
)
def test_a_receiver_that_is_not_there(api: HfApi, raw: httpx2.Client, url: str) -> None:
    """After some tries it is given up; nothing waits for ever, and the Hub goes on."""
    made = api.create_webhook(url=url, watched=WATCHED, domains=["repo"])

    api.create_repo("acme/told-nobody", exist_ok=True)
    api.create_tag("acme/told-nobody", tag=f"v{made.id}")
    until(lambda: [d for d in deliveries(raw, made.id) if d["state"] == "failed"])

    attempts = deliveries(raw, made.id)[-1]["attempts"]
    assert len(attempts) == 4
    assert all("Connect" in attempt["error"] for attempt in attempts)
    assert "pw" not in str(attempts)
    api.delete_webhook(made.id)


def test_redirects_are_not_followed(api: HfApi, raw: httpx2.Client, listener: Listener) -> None:
    """A receiver cannot send the Hub, and the secret, elsewhere."""
    made = api.create_webhook(url=listener.url, watched=WATCHED, secret=SECRET)
    listener.answers.extend([302] * 4)

    api.create_repo("acme/not-led-astray")
    until(lambda: deliveries(raw, made.id) and deliveries(raw, made.id)[0]["state"] == "failed")

    assert [a["status"] for a in deliveries(raw, made.id)[0]["attempts"]] == [302] * 4
    api.delete_webhook(made.id)


def test_what_waits_survives_the_server(tmp_path: Path, listener: Listener) -> None:
    """It is on the disk before it is tried, and the next server goes on with it."""
    root = tmp_path / "hub"
    token = issue_token(root, "alice")
    settings = HubSettings(root=root, webhook_attempts=50, webhook_pause_seconds=0.01)
    listener.answers.extend([500] * 40)
    with serving(settings) as first:
        api = HfApi(endpoint=first.endpoint, token=token)
        api.create_webhook(url=listener.url, watched=[{"type": "user", "name": "alice"}])
        api.create_repo("alice/x")
        until(lambda: len(listener.answers) < 40)
    (marker,) = (root / "deliveries" / "pending").iterdir()
    marker.unlink()  # as if the server had been killed right before
    listener.answers.clear()

    with serving(settings):
        until(lambda: listener.heard)

    assert [heard.body["repo"]["name"] for heard in listener.heard] == ["alice/x"]


def test_two_servers_over_one_folder_tell_once(tmp_path: Path, listener: Listener) -> None:
    """The one that has the lock delivers for both."""
    root = tmp_path / "hub"
    token = issue_token(root, "alice")
    with serving(HubSettings(root=root)) as one, serving(HubSettings(root=root)) as two:
        api = HfApi(endpoint=one.endpoint, token=token)
        api.create_webhook(url=listener.url, watched=[{"type": "user", "name": "alice"}])
        for hub, name in ((one, "a"), (two, "b"), (one, "c"), (two, "d")):
            HfApi(endpoint=hub.endpoint, token=token).create_repo(f"alice/{name}")

        until(lambda: not list((root / "deliveries" / "pending").iterdir()))

    assert sorted(h.body["repo"]["name"] for h in listener.heard) == [
        "alice/a", "alice/b", "alice/c", "alice/d",
    ]  # fmt: skip


def test_old_deliveries_are_forgotten(tmp_path: Path, listener: Listener) -> None:
    """What is kept has an end."""
    root = tmp_path / "hub"
    token = issue_token(root, "alice")
    with serving(HubSettings(root=root, deliveries_kept=3)) as hub:
        api = HfApi(endpoint=hub.endpoint, token=token)
        hook = api.create_webhook(url=listener.url, watched=[{"type": "user", "name": "alice"}])
        for number in range(6):
            api.create_repo(f"alice/r{number}")
        until(lambda: len(listener.heard) == 6)
        until(lambda: not list((root / "deliveries" / "pending").iterdir()))

    assert len(list((root / "deliveries" / hook.id).glob("*.json"))) == 3


class Refused(NamedTuple):
    """A webhook that cannot be, and why."""

    body: dict[str, Any]
    reason: str


GOOD = {"url": "http://127.0.0.1:1/", "watched": WATCHED}


@pytest.mark.parametrize(
    "refused",
    [
        Refused({**GOOD, "url": "file:///etc/passwd"}, "http or https"),
        Refused({**GOOD, "url": "gopher://x"}, "http or https"),
        Refused({**GOOD, "url": "http://"}, "http or https"),
        Refused({"jobSourceId": "x", "watched": WATCHED}, "needs a url"),
        Refused({**GOOD, "watched": []}, "something to watch"),
        Refused({**GOOD, "watched": [{"type": "star", "name": "x"}]}, "watched"),
        Refused({**GOOD, "domains": ["weather"]}, "domains"),
        Refused({**GOOD, "secret": "zwölf"}, "ASCII"),
        Refused({**GOOD, "secret": "a\r\nX-Evil: 1"}, "ASCII"),
    ],
)
def test_a_webhook_that_cannot_be(raw: httpx2.Client, refused: Refused) -> None:
    """It is refused when it is made, and not when it should be heard."""
    answer = raw.post("/api/settings/webhooks", json=refused.body)

    assert answer.status_code == 400
    assert refused.reason in answer.json()["error"]


def test_a_reader_makes_no_webhooks(hub: LocalHub, anybody: httpx2.Client) -> None:
    """Nor does nobody."""
    headers = {"Authorization": f"Bearer {hub.read_token}"}

    assert anybody.post("/api/settings/webhooks", json=GOOD, headers=headers).status_code == 403
    assert anybody.get("/api/settings/webhooks", headers=headers).status_code == 403, "secrets"
    assert anybody.post("/api/settings/webhooks", json=GOOD).status_code == 401
    assert anybody.get("/api/settings/webhooks").status_code == 401


def test_an_event_that_cannot_be_written_down(
    hub: LocalHub, api: HfApi, hook: str, repo_id: str
) -> None:
    """What has happened has happened: the tag is there, and whoever set it is told so."""
    pending = hub.root / "deliveries" / "pending"
    until(lambda: not list(pending.iterdir()))
    aside = pending.rename(pending.with_name("aside"))
    pending.write_text("a file where the folder should be")
    try:
        api.create_tag(repo_id, tag="v1")
    finally:
        pending.unlink()
        aside.rename(pending)

    assert git(hub.folder(repo_id), "rev-parse", "v1")
    assert hook


def test_a_delivery_that_is_finished_while_it_is_looked_for(tmp_path: Path) -> None:
    """Its mark is gone between two looks: it is left out, and nothing fails."""
    settings = HubSettings(root=tmp_path)
    outbox = Outbox(settings, Webhooks(tmp_path))
    assert outbox.waiting() == []

    (tmp_path / "deliveries" / "pending" / "0123").symlink_to("gone")

    assert outbox.waiting() == []


def test_all_threads_end(tmp_path: Path) -> None:
    """A Hub that has stopped leaves none behind."""
    before = threading.active_count()

    with serving(HubSettings(root=tmp_path / "hub")):
        pass

    assert threading.active_count() <= before
