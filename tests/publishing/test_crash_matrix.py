"""Every kind of fault at every call that could change something, and then a second run.

Version 2 is published over version 1, in a new repository each time.  Whatever a reader may name
(main, every tag, the revision that each card names) leads to one whole release: after the fault,
and after the second run, which finishes what was begun and makes no commit twice.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from huggingface_hub.utils import _http

from infra.errors import HubUnreachableError
from infra.local_hub.faults import Fault
from infra.publishing.hub import Hub
from tests.support.local_hub import LocalHub
from tests.support.publishing import (
    Release,
    copy_repository,
    hub_of,
    make_release,
    online,
    torn,
)

CHANGES = "^(POST|PUT|DELETE) /(?!api/validate-yaml)"  # what checks a card changes nothing
TRIES = 6  # the client tries uploads again five times; each fault lasts until it gives up
FAULTS = {
    "a 500": Fault(match=CHANGES, mode="status", status=500, times=TRIES),
    "a cut connection": Fault(match=CHANGES, mode="drop_upload", after=1, times=TRIES),
    "a lost answer": Fault(match=CHANGES, mode="lose_response", times=TRIES),
}
MAIN = ["v2.0.0: auto_round and the card", "v1.0.0: auto_round and the card", "initial commit"]
SIDE = ["v2.0.0: auto_gptq", "v1.0.0: auto_gptq", "initial commit"]


class Layout(NamedTuple):
    """Both versions where they go, and a repository with version 1 to begin with."""

    name: str
    releases: dict[str, Release]
    calls: str  # at which of the changing calls something goes wrong

    def copied(self, server: LocalHub, name: str) -> dict[str, Release]:
        """Return the releases for new repositories, in which version 1 is."""
        copies = {version: each.moved_to(f"acme/{name}") for version, each in self.releases.items()}
        pairs = zip(
            self.releases["v1.0.0"].target.repositories,
            copies["v1.0.0"].target.repositories,
            strict=True,
        )
        for old, new in pairs:
            copy_repository(server, old, new)
        return copies


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client try again at once where it would wait for a second or two."""
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda _s: None, time=time.time))


@pytest.fixture(scope="module", params=["a branch", "a second repository"])
def layout(
    request: pytest.FixtureRequest, server: LocalHub, tmp_path_factory: pytest.TempPathFactory
) -> Layout:
    """Return two versions, the first of them published."""
    name = f"acme/{request.param.replace(' ', '-')}"
    second = f"{name}-gptq" if request.param == "a second repository" else None
    folder = tmp_path_factory.mktemp("exports")
    releases = {f"v{n}.0.0": make_release(folder, name, n, gptq_repo_id=second) for n in (1, 2)}
    with online():
        releases["v1.0.0"].publish_to(hub_of(server))
    return Layout(request.param, releases, "." if second is None else "/commit/|/tag/")


def changing_calls(server: LocalHub, publish: Callable[[], object]) -> list[str]:
    """Return the requests of an undisturbed run that could change something, in order."""
    since = len(server.requests)
    publish()
    return [line for line in server.requests[since:] if re.search(CHANGES, line)]


def publish_through(server: LocalHub, hub: Hub, release: Release, fault: Fault) -> bool:
    """Publish while something goes wrong; return whether it was noticed."""
    server.faults.add(fault)
    try:
        release.publish_to(hub)
    except HubUnreachableError:
        return True
    finally:
        server.faults.clear()
    return False


def titles(server: LocalHub, place: tuple[str, str]) -> list[str]:
    """Return the commits of a branch, the newest first."""
    return [c.title for c in server.api().list_repo_commits(place[0], revision=place[1])]


@pytest.mark.parametrize("kind", FAULTS)
def test_a_new_version(
    server: LocalHub, layout: Layout, kind: str, count: Callable[[str], None]
) -> None:
    """At no call does any fault leave half a release, or a commit too many."""
    hub, tag = hub_of(server), kind.replace(" ", "-")
    trial = layout.copied(server, f"{tag}-trial-{layout.name.replace(' ', '-')}")
    calls = changing_calls(server, lambda: trial["v2.0.0"].publish_to(hub))
    numbers = [number for number, call in enumerate(calls) if re.search(layout.calls, call)]
    noticed = 0
    for number in numbers:
        releases = layout.copied(server, f"{tag}-{number}-{layout.name.replace(' ', '-')}")
        release = releases["v2.0.0"]
        fault = FAULTS[kind].model_copy(update={"skip": number})

        noticed += publish_through(server, hub, release, fault)

        where = f"{kind} at {calls[number]}"
        assert torn(hub, release.target.repo_id, releases) == [], where
        published = release.publish_to(hub)
        assert torn(hub, release.target.repo_id, releases) == [], where
        assert titles(server, (release.target.repo_id, "main")) == MAIN, where
        assert titles(server, release.target.gptq_place) == SIDE, where
        assert hub.refs(release.target.repo_id).tags["v2.0.0"] == published.main.commit, where
    assert len(calls) == 16
    assert len(numbers) == (16 if layout.calls == "." else 4)
    count(
        f"crash matrix, version 2 over 1, {layout.name}: {kind} at each of {len(numbers)} calls: "
        f"{len(numbers)} runs, {noticed} ended with an error; all whole, none twice"
    )


@pytest.mark.parametrize("kind", FAULTS)
def test_a_first_version(
    server: LocalHub, tmp_path: Path, kind: str, count: Callable[[str], None]
) -> None:
    """The same from nothing, at the calls that a first version makes more."""
    hub, tag = hub_of(server), kind.replace(" ", "-")
    release = make_release(tmp_path, f"acme/{tag}-new-trial", 1)
    calls = changing_calls(server, lambda: release.publish_to(hub))[:3]
    noticed = 0
    for number in range(len(calls)):
        repo_id = f"acme/{tag}-new-{number}"
        fresh = release.moved_to(repo_id)
        fault = FAULTS[kind].model_copy(update={"skip": number})

        noticed += publish_through(server, hub, fresh, fault)

        where = f"{kind} at {calls[number]}"
        if hub.is_private(repo_id) is not None:
            assert torn(hub, repo_id, {"v1.0.0": fresh}) == [], where
        fresh.publish_to(hub)
        assert torn(hub, repo_id, {"v1.0.0": fresh}) == [], where
        assert titles(server, (repo_id, "main")) == MAIN[1:], where
        assert titles(server, (repo_id, "auto_gptq")) == SIDE[1:], where
    assert [re.search("(create|branch|preupload)", call)[1] for call in calls] == [  # type: ignore[index]
        "create",
        "branch",
        "preupload",
    ]
    count(
        f"crash matrix, version 1 from nothing: {kind} at each of its first {len(calls)} calls: "
        f"{len(calls)} runs, {noticed} ended with an error; all whole, none twice"
    )
