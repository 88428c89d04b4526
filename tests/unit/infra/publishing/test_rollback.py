"""Going back: one commit, no upload, no tag moved."""

import pytest
from huggingface_hub import CommitOperationAdd

from infra.errors import HubUnreachableError, StaleParentError, UnknownReleaseError
from infra.local_hub.faults import Fault
from infra.publishing.hub import Hub
from infra.publishing.rollback import rollback
from tests.support.local_hub import LocalHub
from tests.support.publishing import (
    Release,
    copy_repository,
    hub_of,
    make_release,
    online,
    torn,
)


@pytest.fixture(scope="module")
def published(server: LocalHub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Release]:
    """Return two releases that were published to ``acme/rolled``, one after the other."""
    folder = tmp_path_factory.mktemp("releases")
    made = {f"v{n}.0.0": make_release(folder, "acme/rolled", n) for n in (1, 2)}
    with online():
        for release in made.values():
            release.publish_to(hub_of(server))
    return made


@pytest.fixture
def releases(server: LocalHub, repo_id: str, published: dict[str, Release]) -> dict[str, Release]:
    """Return the same two releases in the test's own repository."""
    copy_repository(server, "acme/rolled", repo_id)
    return {version: release.moved_to(repo_id) for version, release in published.items()}


def test_back_to_an_earlier_release(
    server: LocalHub, hub: Hub, repo_id: str, releases: dict[str, Release]
) -> None:
    """Main has its very files again, card and all; the later one is still under its tags."""
    before, since = hub.refs(repo_id), len(server.requests)

    rolled = rollback(hub, repo_id, "v1.0.0")

    assert [line for line in server.requests[since:] if line.startswith("PUT")] == []
    assert hub.refs(repo_id).tags == before.tags
    assert hub.tree(repo_id, "main") == hub.tree(repo_id, "v1.0.0")
    assert torn(hub, repo_id, releases) == []
    assert rolled.model_dump() == {
        "repo_id": repo_id,
        "branch": "main",
        "to": "v1.0.0",
        "release": before.tags["v1.0.0"],
        "before": before.branches["main"],
        "commit": hub.refs(repo_id).branches["main"],
        "commits": 1,
    }
    assert hub.commits(repo_id, "main")[1] == before.branches["main"]


def test_going_back_again_changes_nothing(
    server: LocalHub, hub: Hub, repo_id: str, releases: dict[str, Release]
) -> None:
    """Main is there already."""
    first = rollback(hub, repo_id, "v1.0.0")
    since = len(server.requests)

    again = rollback(hub, repo_id, releases["v1.0.0"].target.version)

    assert (again.commit, again.commits) == (first.commit, 0)
    assert all(line.startswith("GET") for line in server.requests[since:])


def test_forth_again_by_a_commit(hub: Hub, repo_id: str, releases: dict[str, Release]) -> None:
    """Any commit of a release will do; and the next version is published on top of it all."""
    second = hub.refs(repo_id).tags["v2.0.0"]
    rollback(hub, repo_id, "v1.0.0")

    rollback(hub, repo_id, second[:7])

    assert hub.tree(repo_id, "main") == hub.tree(repo_id, "v2.0.0")
    assert releases["v2.0.0"].publish_to(hub).commits == 0


@pytest.mark.parametrize("mode", ["lose_response", "status"])
def test_trouble_on_the_way(
    server: LocalHub, hub: Hub, repo_id: str, releases: dict[str, Release], mode: str
) -> None:
    """A lost answer is no failure; a failure leaves main whole, and a second try succeeds."""
    server.faults.add(Fault(match="/commit/", mode=mode))

    if mode == "lose_response":
        assert rollback(hub, repo_id, "v1.0.0").commits == 1
    else:
        with pytest.raises(HubUnreachableError):
            rollback(hub, repo_id, "v1.0.0")
        assert torn(hub, repo_id, releases) == []
        assert rollback(hub, repo_id, "v1.0.0").commits == 1
    assert hub.tree(repo_id, "main") == hub.tree(repo_id, "v1.0.0")
    assert len(hub.commits(repo_id, "main")) == 4


class Overtaken(Hub):
    """A Hub where somebody else commits just before us."""

    def commit(self, repo_id: str, branch: str, *args: object, **kwargs: object) -> str:
        """Let somebody else write first."""
        self._api.create_commit(
            repo_id, [CommitOperationAdd("x.txt", b"x")], commit_message="x", revision=branch
        )
        return super().commit(repo_id, branch, *args, **kwargs)  # type: ignore[arg-type]


def test_somebody_else_writes_meanwhile(
    hub: Hub, repo_id: str, releases: dict[str, Release]
) -> None:
    """Nothing is changed, and both commits are named."""
    before = hub.refs(repo_id).branches["main"]
    assert releases

    with pytest.raises(StaleParentError) as failure:
        rollback(Overtaken(hub._api, hub._token), repo_id, "v1.0.0")

    assert before in str(failure.value)
    assert hub.refs(repo_id).branches["main"] in str(failure.value)
    assert "x.txt" in hub.tree(repo_id, "main")


@pytest.mark.parametrize("to", ["v9.0.0", "ffffffff"])
def test_a_release_that_is_not_there(
    hub: Hub, repo_id: str, releases: dict[str, Release], to: str
) -> None:
    """The error lists the tags that there are."""
    assert releases

    with pytest.raises(UnknownReleaseError, match=r"no release .*v1\.0\.0, v1\.0\.0-auto_gptq"):
        rollback(hub, repo_id, to)


def test_what_is_no_release(hub: Hub, repo_id: str, releases: dict[str, Release]) -> None:
    """The root commit holds nothing to go back to; nor is there a branch of any name."""
    assert releases

    with pytest.raises(UnknownReleaseError, match=r"is no release.*roundhouse\.json"):
        rollback(hub, repo_id, hub.commits(repo_id, "main")[-1])
    with pytest.raises(UnknownReleaseError, match="no branch dev"):
        rollback(hub, repo_id, "v1.0.0", branch="dev")
