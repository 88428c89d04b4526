"""A release on the Hub: what is there after each kind of publishing, by the Hub's own word."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd

from infra.errors import (
    CardRefusedError,
    ForeignRepositoryError,
    NotAnExportError,
    PublicRepositoryError,
    StaleParentError,
    TagMovedError,
)
from infra.publishing.hub import Hub
from infra.publishing.pinned import Pinned
from infra.publishing.publish import publish
from infra.publishing.published import Content
from infra.publishing.target import Target
from tests.support.local_hub import LocalHub
from tests.support.publishing import Release, TinyPapers, make_release, torn, write_export

WRITES = ("POST", "PUT", "DELETE")


def writes(server: LocalHub, since: int) -> list[str]:
    """Return the requests since some moment that could change anything."""
    return [line for line in server.requests[since:] if line.startswith(WRITES)]


def titles(server: LocalHub, repo_id: str, revision: str = "main") -> list[str]:
    """Return the commits of a branch, the newest first."""
    return [c.title for c in server.api().list_repo_commits(repo_id, revision=revision)]


def test_a_first_release(server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path) -> None:
    """Repository, branch, both formats and both tags are made; one commit on each branch."""
    release = make_release(tmp_path, repo_id, 1)

    published = release.publish_to(hub)

    refs = hub.refs(repo_id)
    assert refs.branches == {"main": published.main.commit, "auto_gptq": published.gptq.commit}
    assert refs.tags == {
        "v1.0.0": published.main.commit,
        "v1.0.0-auto_gptq": published.gptq.commit,
    }
    assert torn(hub, repo_id, {"v1.0.0": release}) == []
    assert (published.commits, published.signed) == (2, False)
    assert (published.endpoint, published.repo_id) == (server.endpoint, repo_id)
    assert titles(server, repo_id)[0] == "v1.0.0: auto_round and the card"
    assert titles(server, repo_id, "auto_gptq")[0] == "v1.0.0: auto_gptq"
    assert len(titles(server, repo_id)) == len(titles(server, repo_id, "auto_gptq")) == 2


def test_the_card_names_a_commit_that_is_complete(
    server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path
) -> None:
    """Seven digits of the card lead to the GPTQ checkpoint, for whoever has no token, too."""
    release = make_release(tmp_path, repo_id, 1)

    published = release.publish_to(hub)

    card = hub.read(repo_id, "main", "README.md").decode()
    assert f'revision="{published.gptq.commit[:7]}"' in card
    found = server.api(token=False).snapshot_download(
        repo_id, revision=published.gptq.short, local_dir=tmp_path / "found"
    )
    shard = "model-00001-of-00001.safetensors"
    assert (Path(found) / shard).read_bytes() == (release.content.auto_gptq / shard).read_bytes()
    assert published.gptq.tag in (Path(found) / "README.md").read_text()


@pytest.mark.parametrize("revision", ["v1.0.0", "v1.0.0-auto_gptq"])
def test_sums_cover_the_whole_revision(
    server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path, revision: str
) -> None:
    """``sha256sum --check`` agrees with each revision, papers too; the export's own are gone."""
    make_release(tmp_path, repo_id, 1).publish_to(hub)

    found = server.api().snapshot_download(repo_id, revision=revision, local_dir=tmp_path / "here")

    listed = [line.split("  ")[1] for line in (Path(found) / "SHA256SUMS").read_text().splitlines()]
    there = {p.name for p in Path(found).iterdir() if p.is_file()}
    assert listed == sorted(there - {"SHA256SUMS", ".gitattributes"})
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"],  # noqa: S607 -- wherever it is
        cwd=found,
        check=True,
    )


def test_publishing_again_changes_nothing(
    server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path
) -> None:
    """The same release a second time: no commit, and not one request that could make one."""
    release = make_release(tmp_path, repo_id, 1)
    first = release.publish_to(hub)
    since = len(server.requests)

    second = release.publish_to(hub)

    assert writes(server, since) == []
    assert second == first.model_copy(update={"commits": 0})
    assert len(titles(server, repo_id)) == 2


def test_a_new_version_replaces_all_files(
    server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path
) -> None:
    """What the new version has not is deleted in the same commit; the old tags stay whole."""
    releases = {f"v{n}.0.0": make_release(tmp_path, repo_id, n) for n in (1, 2)}
    first = releases["v1.0.0"].publish_to(hub)

    second = releases["v2.0.0"].publish_to(hub)

    assert torn(hub, repo_id, releases) == []
    assert "model-00002-of-00002.safetensors" in hub.tree(repo_id, "v1.0.0")
    assert "model-00002-of-00002.safetensors" not in hub.tree(repo_id, "main")
    assert ".gitattributes" in hub.tree(repo_id, "main")
    assert hub.refs(repo_id).tags["v1.0.0"] == first.main.commit
    assert hub.refs(repo_id).branches["main"] == second.main.commit
    assert len(titles(server, repo_id)) == 3


def test_shards_that_are_there_are_not_uploaded_again(
    server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path
) -> None:
    """A version with another card alone moves no weights."""
    release = make_release(tmp_path, repo_id, 1)
    release.publish_to(hub)
    since = len(server.requests)
    target = release.target.model_copy(update={"version": "v1.0.1"})

    published = release._replace(target=target).publish_to(hub)

    assert published.commits == 2
    assert [line for line in server.requests[since:] if line.startswith("PUT")] == []


def test_a_version_is_taken_once(server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path) -> None:
    """Other files under the same version are refused before anything is written."""
    release = make_release(tmp_path, repo_id, 1)
    published = release.publish_to(hub)
    since = len(server.requests)

    with pytest.raises(TagMovedError) as failure:
        release._replace(papers=TinyPapers("another sentence")).publish_to(hub)

    assert writes(server, since) == []
    for part in ("v1.0.0-auto_gptq", published.gptq.commit, "README.md", "raise the version"):
        assert part in str(failure.value)


def test_an_older_version_again_is_found(hub: Hub, repo_id: str, tmp_path: Path) -> None:
    """Publishing version 1 after version 2 finds it under its tags, and says what main is."""
    releases = [make_release(tmp_path, repo_id, n) for n in (1, 2)]
    first, second = (release.publish_to(hub) for release in releases)
    target, content, papers = releases[0]
    told: list[str] = []

    again = publish(hub, target, content, papers, signer=None, say=told.append)

    assert told[-1] == f"main of {repo_id} itself has moved on: it is at {second.main.short}"
    assert again == first.model_copy(update={"commits": 0})
    assert hub.refs(repo_id).branches["main"] == second.main.commit


def test_a_tag_without_its_other_half(
    server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path
) -> None:
    """A version whose GPTQ tag was deleted is not published anew under the same name."""
    release = make_release(tmp_path, repo_id, 1)
    release.publish_to(hub)
    server.api().delete_tag(repo_id, tag="v1.0.0-auto_gptq")
    since = len(server.requests)

    with pytest.raises(TagMovedError, match="Raise the version"):
        release.publish_to(hub)

    assert writes(server, since) == []


def test_two_repositories(hub: Hub, repo_id: str, tmp_path: Path) -> None:
    """GPTQ may have a repository of its own: both mains are releases, and the card names it."""
    other = f"{repo_id}-gptq"
    release = make_release(tmp_path, repo_id, 1, gptq_repo_id=other)

    published = release.publish_to(hub)

    assert published.gptq.repo_id == other
    assert hub.refs(other).branches == {"main": published.gptq.commit}
    assert hub.refs(other).tags == {"v1.0.0-auto_gptq": published.gptq.commit}
    assert hub.refs(repo_id).branches == {"main": published.main.commit}
    assert torn(hub, repo_id, {"v1.0.0": release}) == []
    assert release.publish_to(hub).commits == 0


def test_a_branch_of_another_name(hub: Hub, repo_id: str, tmp_path: Path) -> None:
    """A candidate can go to branches of its own; main stays as it was."""
    release = make_release(tmp_path, repo_id, 1)
    target = Target(repo_id=repo_id, branch="next", gptq_branch="next-gptq", version="v1.0.0-rc1")

    published = release._replace(target=target).publish_to(hub)

    assert hub.refs(repo_id).branches["next"] == published.main.commit
    assert hub.tree(repo_id, "main").keys() == {".gitattributes"}


def test_what_somebody_else_put_there(
    server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path
) -> None:
    """A repository with files that no release put there is refused, and nothing is written."""
    api = server.api()
    api.create_repo(repo_id)
    api.create_commit(
        repo_id, [CommitOperationAdd("thesis.txt", b"years of work")], commit_message="mine"
    )
    since = len(server.requests)

    with pytest.raises(ForeignRepositoryError) as failure:
        make_release(tmp_path, repo_id, 1).publish_to(hub)

    assert writes(server, since) == []
    assert f"main of {repo_id}" in str(failure.value)
    assert "thesis.txt" in str(failure.value)


def test_a_foreign_branch(server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path) -> None:
    """The same of a branch that has the name of ours."""
    api = server.api()
    api.create_repo(repo_id)
    api.create_branch(repo_id, branch="auto_gptq")
    api.create_commit(
        repo_id,
        [CommitOperationAdd("thesis.txt", b"years of work")],
        commit_message="mine",
        revision="auto_gptq",
    )

    with pytest.raises(ForeignRepositoryError, match=f"auto_gptq of {repo_id}"):
        make_release(tmp_path, repo_id, 1).publish_to(hub)


def test_another_models_repository(hub: Hub, repo_id: str, tmp_path: Path) -> None:
    """A release of another model is as foreign as anything else."""
    make_release(tmp_path / "one", repo_id, 1).publish_to(hub)
    other = Content(
        auto_round=write_export(tmp_path / "a", "auto_round", 2, source="org/other"),
        auto_gptq=write_export(tmp_path / "g", "auto_gptq", 2, source="org/other"),
    )

    with pytest.raises(ForeignRepositoryError, match=r"release of org/model.*is of org/other"):
        Release(Target(repo_id=repo_id, version="v2.0.0"), other).publish_to(hub)


def test_a_private_release_stays_private(
    server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path
) -> None:
    """A new repository is made private; into a public one a private release does not go."""
    private = Target(repo_id=repo_id, private=True, version="v1.0.0")
    release = make_release(tmp_path, repo_id, 1)._replace(target=private)
    public = f"{repo_id}-public"
    server.api().create_repo(public)

    release.publish_to(hub)

    assert hub.is_private(repo_id) is True
    with pytest.raises(PublicRepositoryError, match=f"{public} .* is public"):
        release._replace(target=private.model_copy(update={"repo_id": public})).publish_to(hub)
    assert hub.tree(public, "main").keys() == {".gitattributes"}


class Interrupting(TinyPapers):
    """Papers during which somebody else writes to main."""

    server: LocalHub

    def beside_auto_round(self, target: Target, gptq: Pinned) -> Mapping[str, bytes]:
        """Write to main once the GPTQ commit is there."""
        if set(gptq.commit) != {"0"}:
            self.server.api().create_commit(
                target.repo_id, [CommitOperationAdd("x.txt", b"x")], commit_message="somebody else"
            )
        return super().beside_auto_round(target, gptq)


def test_somebody_else_writes_meanwhile(
    server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path
) -> None:
    """A branch that has moved since it was looked at is left alone, and both commits are named."""
    release = make_release(tmp_path, repo_id, 1)
    papers = Interrupting()
    papers.server = server

    with pytest.raises(StaleParentError) as failure:
        publish(hub, release.target, release.content, papers, signer=None, say=lambda _words: None)

    head = hub.refs(repo_id).branches["main"]
    assert titles(server, repo_id)[0] == "somebody else"
    assert f"is at {head} now" in str(failure.value)
    assert "v1.0.0" not in hub.refs(repo_id).tags


@pytest.mark.parametrize(
    "metadata", ["license: [apache-2.0", "a: b: c", "tags:\n\t- x"], ids=["open", "colons", "tab"]
)
def test_a_card_with_broken_metadata(hub: Hub, repo_id: str, tmp_path: Path, metadata: str) -> None:
    """The Hub is asked about both cards before a repository is made."""
    release = make_release(tmp_path, repo_id, 1)

    with pytest.raises(CardRefusedError) as failure:
        release._replace(papers=TinyPapers(metadata=metadata)).publish_to(hub)

    assert hub.is_private(repo_id) is None
    assert repo_id in str(failure.value)
    assert "between its two lines of ---" in str(failure.value)


@pytest.mark.parametrize("lost", ["roundhouse.json", "model-00001-of-00001.safetensors"])
def test_a_folder_that_is_no_export(
    server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path, lost: str
) -> None:
    """A folder without provenance or weights is refused before the Hub is asked anything."""
    release = make_release(tmp_path, repo_id, 1)
    (release.content.auto_gptq / lost).unlink()
    since = len(server.requests)

    with pytest.raises(NotAnExportError, match="no export"):
        release.publish_to(hub)

    assert server.requests[since:] == []


def test_papers_without_a_card(hub: Hub, repo_id: str, tmp_path: Path) -> None:
    """A checkpoint that nothing describes is not published."""

    class Nothing(TinyPapers):
        def beside_gptq(self, target: Target) -> Mapping[str, bytes]:
            return {"release.json": target.version.encode()}

    release = make_release(tmp_path, repo_id, 1)

    with pytest.raises(NotAnExportError, match=r"README\.md"):
        release._replace(papers=Nothing()).publish_to(hub)


def test_what_is_happening_is_told(hub: Hub, repo_id: str, tmp_path: Path) -> None:
    """A sentence for the repository and one for each revision, with the digits that people use."""
    release = make_release(tmp_path, repo_id, 1)
    told: list[str] = []

    published = publish(
        hub, release.target, release.content, release.papers, signer=None, say=told.append
    )

    assert told == [
        f"{repo_id}: made, public",
        f"v1.0.0-auto_gptq: published, {published.gptq.short} on auto_gptq of {repo_id}",
        f"v1.0.0: published, {published.main.short} on main of {repo_id}",
    ]
