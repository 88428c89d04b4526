"""Tags never move, branches begin at the root, and short names are unique."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd

from infra.errors import HubRefusedError, HubUnreachableError, TagMovedError, UnknownRevisionError
from infra.local_hub.faults import Fault
from infra.publishing.hub import Hub, Refs
from infra.publishing.refs import create_tag, ensure_branch, pin, refs_of
from tests.support.local_hub import LocalHub
from tests.support.publishing import make_release


def commits(server: LocalHub, repo_id: str, names: Sequence[str]) -> list[str]:
    """Make a repository with a commit for each file, and return them, its root first."""
    api = server.api()
    api.create_repo(repo_id)
    root = api.list_repo_commits(repo_id)[-1].commit_id
    made = [
        api.create_commit(
            repo_id, [CommitOperationAdd(name, name.encode())], commit_message=name
        ).oid
        for name in names
    ]
    return [root, *made]


def test_a_tag_is_set_once(server: LocalHub, hub: Hub, repo_id: str) -> None:
    """Setting it again on the same commit changes nothing, and is no error."""
    _, commit = commits(server, repo_id, ["a"])

    create_tag(hub, repo_id, "v1", commit)
    create_tag(hub, repo_id, "v1", commit)

    assert refs_of(hub, repo_id).tags == {"v1": commit}


def test_a_tag_never_moves(server: LocalHub, hub: Hub, repo_id: str) -> None:
    """The error names both commits, and the remedy."""
    _, first, second = commits(server, repo_id, ["a", "b"])
    create_tag(hub, repo_id, "v1", first)

    with pytest.raises(TagMovedError) as failure:
        create_tag(hub, repo_id, "v1", second)

    assert first in str(failure.value)
    assert second in str(failure.value)
    assert "raise the version" in str(failure.value)
    assert refs_of(hub, repo_id).tags == {"v1": first}


def test_a_tag_whose_answer_was_lost(server: LocalHub, hub: Hub, repo_id: str) -> None:
    """It is there, so it was set."""
    _, commit = commits(server, repo_id, ["a"])
    server.faults.add(Fault(match="POST .*/tag/", mode="lose_response"))

    create_tag(hub, repo_id, "v1", commit)

    assert refs_of(hub, repo_id).tags == {"v1": commit}


def test_a_tag_that_was_not_set(server: LocalHub, hub: Hub, repo_id: str) -> None:
    """A failure that left nothing is one; a commit that is not there is another."""
    _, commit = commits(server, repo_id, ["a"])
    server.faults.add(Fault(match="POST .*/tag/", mode="status", status=500))

    with pytest.raises(HubUnreachableError):
        create_tag(hub, repo_id, "v1", commit)
    with pytest.raises(UnknownRevisionError):
        create_tag(hub, repo_id, "v1", "f" * 40)


def test_a_branch_begins_at_the_root(server: LocalHub, hub: Hub, repo_id: str) -> None:
    """Its history is its own; a second time it is where it is."""
    root, head = commits(server, repo_id, ["a"])

    assert ensure_branch(hub, repo_id, "side", hub.refs(repo_id)) == root
    assert hub.refs(repo_id).branches == {"main": head, "side": root}
    assert ensure_branch(hub, repo_id, "main", hub.refs(repo_id)) == head


def test_a_branch_that_somebody_else_made_first(server: LocalHub, hub: Hub, repo_id: str) -> None:
    """At the root it may be ours whose answer was lost; anywhere else it was not looked at."""
    root, head = commits(server, repo_id, ["a"])
    before = hub.refs(repo_id)
    server.api().create_branch(repo_id, branch="same", revision=root)
    server.api().create_branch(repo_id, branch="other", revision=head)

    assert ensure_branch(hub, repo_id, "same", before) == root
    with pytest.raises(HubRefusedError, match="other"):
        ensure_branch(hub, repo_id, "other", before)


def test_seven_digits_are_enough(server: LocalHub, hub: Hub, repo_id: str) -> None:
    """The usual case, and the Hub agrees."""
    _, commit = commits(server, repo_id, ["a"])

    pinned = pin(hub, repo_id, commit, tag="v1")

    assert (pinned.commit, pinned.short, pinned.tag) == (commit, commit[:7], "v1")
    assert hub.resolve(repo_id, pinned.short) == commit


class Crowded(Hub):
    """A Hub with a history that has a commit of nearly the same name: it cannot be made at will."""

    def refs(self, repo_id: str) -> Refs:  # noqa: ARG002 -- as inherited
        """Return a branch, and a tag that looks like a commit."""
        return Refs({"main": "a" * 40}, {"a" * 9: "b" * 40, "old": "a" * 11 + "c" * 29})

    def commits(self, repo_id: str, revision: str) -> list[str]:  # noqa: ARG002 -- as inherited
        """Return the history."""
        return ["a" * 40, "a" * 8 + "f" * 32]


def test_more_digits_where_seven_are_not(hub: Hub) -> None:
    """As many as it takes: other commits, tagged commits and names are told apart."""
    crowded = Crowded(hub._api, None)

    assert pin(crowded, "acme/m", "a" * 40, tag="v1").short == "a" * 12


def test_a_downloaded_revision_is_verified(hub: Hub, repo_id: str, tmp_path: Path) -> None:
    """The client checks sizes alone; a file that is not what was announced is found."""
    published = make_release(tmp_path, repo_id, 1).publish_to(hub)

    folder = hub.download(repo_id, published.main.commit, tmp_path / "here")

    assert (folder / "README.md").is_file()
    (folder / "release.json").write_text("{}")
    with pytest.raises(Exception, match=r"release\.json has other content"):
        hub.download(repo_id, published.main.commit, folder)
