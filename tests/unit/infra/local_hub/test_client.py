"""The real client, unchanged, does with this Hub what it does with huggingface.co."""

import os
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    ModelCard,
)
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.support.git import git, require_sound
from tests.support.local_hub import LocalHub
from tests.unit.infra.local_hub.conftest import PART_BYTES

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content:DeprecationWarning"
)  # the client's own

LARGE = os.urandom(PART_BYTES * 2 + 12_345)
SMALLER = os.urandom(PART_BYTES // 2)


def add(path: str, data: bytes) -> CommitOperationAdd:
    """Return the addition of a file."""
    return CommitOperationAdd(path, data)


def commit(api: HfApi, repo_id: str, *operations: CommitOperationAdd, **more: str) -> str:
    """Make a commit, and return its 40 digits."""
    return api.create_commit(repo_id, operations, commit_message="a commit", **more).oid


def status(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    """Return the status of a refusal."""
    return error.value.response.status_code


def test_who_am_i(hub: LocalHub, api: HfApi) -> None:
    """The user, the organizations and the role are those of the token."""
    me = api.whoami()

    assert me["name"] == "alice"
    assert [org["name"] for org in me["orgs"]] == ["acme"]
    assert me["auth"]["accessToken"]["role"] == "write"
    assert hub.api(hub.read_token).whoami()["auth"]["accessToken"]["role"] == "read"


def test_a_repository_is_made_once(api: HfApi, repo_id: str) -> None:
    """Making it again is refused with 409, and accepted where the client does not mind."""
    with pytest.raises(HfHubHTTPError) as refusal:
        api.create_repo(repo_id)

    assert status(refusal) == 409
    assert api.create_repo(repo_id, exist_ok=True).repo_id == repo_id


def test_small_and_large_files_in_one_commit(api: HfApi, repo_id: str, folder: Path) -> None:
    """Large files come in parts or whole, small ones in git; all arrive as they were."""
    files = {"config.json": b"{}", "a/model.safetensors": LARGE, "b.safetensors": SMALLER}

    made = commit(api, repo_id, *(add(path, data) for path, data in files.items()))

    siblings = {s.rfilename: s for s in api.model_info(repo_id, files_metadata=True).siblings or ()}
    assert api.model_info(repo_id).sha == made
    assert siblings["config.json"].lfs is None
    assert siblings["config.json"].size == 2
    lfs = siblings["a/model.safetensors"].lfs
    assert lfs is not None
    assert lfs.size == len(LARGE)
    require_sound(folder)
    assert git(folder, "show", f"{made}:config.json") == "{}"
    assert f"oid sha256:{lfs.sha256}" in git(folder, "show", f"{made}:a/model.safetensors")


def test_downloads_are_what_was_uploaded(api: HfApi, repo_id: str, tmp_path: Path) -> None:
    """By 40 digits, by 7, by tag, by branch, by a full reference, and without a revision."""
    made = commit(api, repo_id, add("dir/model.safetensors", LARGE), add("config.json", b"{1}"))
    api.create_tag(repo_id, tag="release/v1", revision=made[:7])

    for revision in (made, made[:7], "release/v1", "main", "refs/heads/main", None):
        target = tmp_path / str(revision).replace("/", "-")
        api.snapshot_download(repo_id, revision=revision, local_dir=target)
        assert (target / "dir/model.safetensors").read_bytes() == LARGE
        assert (target / "config.json").read_bytes() == b"{1}"
    verified = api.verify_repo_checksums(repo_id, revision=made, local_dir=tmp_path / made)
    assert (verified.checked_count, verified.mismatches, verified.missing_paths) == (3, [], [])
    assert api.resolve_revision(repo_id, revision=made[:9]).resolved == made


@pytest.mark.parametrize("revision", ["0badc0d", "f" * 40, "no-such", "refs/heads/none", "abc"])
def test_an_unknown_revision(api: HfApi, repo_id: str, revision: str) -> None:
    """It is told apart from a repository that is not there; 3 digits are no commit."""
    with pytest.raises(RevisionNotFoundError):
        api.model_info(repo_id, revision=revision)


def test_an_unknown_file(api: HfApi, repo_id: str) -> None:
    """It is told apart from a revision that is not there."""
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(repo_id, "none.json")
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(repo_id, "no/folder"))


def test_a_stale_parent_is_refused(api: HfApi, repo_id: str) -> None:
    """Who has not seen the last commit may not build on it; 7 digits of it are enough."""
    root = api.model_info(repo_id).sha or ""
    first = commit(api, repo_id, add("x.txt", b"1"), parent_commit=root)

    with pytest.raises(HfHubHTTPError) as refusal:
        commit(api, repo_id, add("x.txt", b"2"), parent_commit=root)

    assert status(refusal) == 412
    assert "The branch was updated since you opened this page" in str(refusal.value)
    assert commit(api, repo_id, add("x.txt", b"2"), parent_commit=first[:7]) != first


def test_the_same_files_again_make_no_commit(api: HfApi, repo_id: str) -> None:
    """The client compares what is there with what it has, small files and large ones."""
    made = commit(api, repo_id, add("x.txt", b"1"), add("m.safetensors", SMALLER))

    assert commit(api, repo_id, add("x.txt", b"1"), add("m.safetensors", SMALLER)) == made
    assert len(api.list_repo_commits(repo_id)) == 2


def test_what_is_here_is_not_sent_again(hub: LocalHub, api: HfApi, repo_id: str) -> None:
    """A run that died between upload and commit goes on with the commit."""
    api.preupload_lfs_files(repo_id, [add("m.safetensors", LARGE)])
    before = len(hub.requests)

    commit(api, repo_id, add("m.safetensors", LARGE))

    assert [line for line in hub.requests[before:] if line.startswith("PUT")] == []


def test_copies_and_deletions(api: HfApi, repo_id: str, folder: Path) -> None:
    """Files are copied on the server, from any revision; folders go as a whole."""
    first = commit(
        api, repo_id, add("a/m.safetensors", LARGE), add("a/c.json", b"1"), add("d/e/f.txt", b"f")
    )
    commit(api, repo_id, add("a/c.json", b"2"))

    api.create_commit(
        repo_id,
        [
            CommitOperationCopy("a/m.safetensors", "copy.safetensors"),
            CommitOperationCopy("a/c.json", "old.json", src_revision=first),
            CommitOperationDelete("d/", is_folder=True),
            CommitOperationDelete("a/m.safetensors"),
        ],
        commit_message="copies",
    )

    assert api.list_repo_files(repo_id) == [
        ".gitattributes", "a/c.json", "copy.safetensors", "old.json",
    ]  # fmt: skip
    assert git(folder, "show", "main:old.json") == "1"
    require_sound(folder)


def test_a_deletion_of_nothing_is_refused(api: HfApi, repo_id: str) -> None:
    """It is a mistake of whoever asks."""
    with pytest.raises(EntryNotFoundError):
        api.create_commit(repo_id, [CommitOperationDelete("none")], commit_message="m")


def test_branches(api: HfApi, repo_id: str) -> None:
    """They begin at any revision, are refused twice, and go without their commits."""
    root = api.model_info(repo_id).sha or ""
    commit(api, repo_id, add("x.txt", b"1"))

    api.create_branch(repo_id, branch="auto_gptq", revision=root)
    with pytest.raises(HfHubHTTPError) as refusal:
        api.create_branch(repo_id, branch="auto_gptq")
    side = commit(api, repo_id, add("g.txt", b"g"), revision="auto_gptq", parent_commit=root)

    assert status(refusal) == 409
    assert "Reference refs/heads/auto_gptq already exists" in str(refusal.value)
    branches = {b.name: b.target_commit for b in api.list_repo_refs(repo_id).branches}
    assert branches == {"main": api.model_info(repo_id).sha, "auto_gptq": side}
    api.delete_branch(repo_id, branch="auto_gptq")
    assert [b.name for b in api.list_repo_refs(repo_id).branches] == ["main"]
    assert api.model_info(repo_id, revision=side[:7]).sha == side


def test_tags(api: HfApi, repo_id: str, folder: Path) -> None:
    """They stand for a commit, with a message as objects of git's own, and never move."""
    made = commit(api, repo_id, add("x.txt", b"1"))
    api.create_tag(repo_id, tag="v1", revision=made[:7], tag_message="the first")
    api.create_tag(repo_id, tag="release/v1")
    commit(api, repo_id, add("x.txt", b"2"))

    with pytest.raises(HfHubHTTPError) as refusal:
        api.create_tag(repo_id, tag="v1")
    with pytest.raises(RevisionNotFoundError):
        api.create_tag(repo_id, tag="v2", revision="nope")

    assert status(refusal) == 409
    tags = [(t.name, t.ref, t.target_commit) for t in api.list_repo_refs(repo_id).tags]
    assert tags == [
        ("release/v1", "refs/tags/release/v1", made), ("v1", "refs/tags/v1", made),
    ]  # fmt: skip
    assert git(folder, "cat-file", "-t", "v1").strip() == "tag"
    assert git(folder, "rev-parse", "v1^{commit}").strip() == made
    require_sound(folder)
    api.delete_tag(repo_id, tag="v1")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(repo_id, revision="v1")


def test_a_name_below_another_name_is_refused(api: HfApi, repo_id: str) -> None:
    """References are files in folders; once the one is deleted, the other can be made."""
    api.create_tag(repo_id, tag="a/b/c")

    with pytest.raises(HfHubHTTPError) as refusal:
        api.create_tag(repo_id, tag="a/b")
    api.delete_tag(repo_id, tag="a/b/c")
    api.create_tag(repo_id, tag="a/b")
    with pytest.raises(HfHubHTTPError):
        api.create_tag(repo_id, tag="a/b/c")

    assert status(refusal) == 409


def test_the_default_branch_stays(api: HfApi, repo_id: str) -> None:
    """Without it the repository could not be read."""
    with pytest.raises(HfHubHTTPError) as refusal:
        api.delete_branch(repo_id, branch="main")

    assert status(refusal) == 403


def test_a_tag_is_no_branch(api: HfApi, repo_id: str) -> None:
    """Commits are made on branches; a tag of that name does not move."""
    api.create_tag(repo_id, tag="v1")

    with pytest.raises(BadRequestError, match="v1 is a tag"):
        commit(api, repo_id, add("x", b"x"), revision="v1")


def test_a_tag_before_a_branch_of_its_name(api: HfApi, repo_id: str) -> None:
    """As in git; commits still go to the branch."""
    root = api.model_info(repo_id).sha
    api.create_tag(repo_id, tag="both")
    api.create_branch(repo_id, branch="both")

    made = commit(api, repo_id, add("x", b"x"), revision="both")

    assert api.model_info(repo_id, revision="both").sha == root
    assert api.model_info(repo_id, revision="refs/heads/both").sha == made


def test_squashing_keeps_what_is_pinned(api: HfApi, repo_id: str, folder: Path) -> None:
    """The branch has one commit of the same files; the old one can be had by its digits."""
    made = commit(api, repo_id, add("x.txt", b"1"))
    files = api.list_repo_files(repo_id)

    api.super_squash_history(repo_id, branch="main")

    assert len(api.list_repo_commits(repo_id)) == 1
    assert api.list_repo_files(repo_id) == files
    assert api.model_info(repo_id, revision=made[:7]).sha == made
    require_sound(folder)


def test_commits_page_by_page(api: HfApi, repo_id: str) -> None:
    """All of them, newest first, however many there are; escaped where they are to be shown."""
    for number in range(52):
        api.create_commit(
            repo_id,
            [add("n", str(number).encode())],
            commit_message=f"<{number}>",
            commit_description="why\n\nso",
        )

    commits = api.list_repo_commits(repo_id, formatted=True)

    assert [c.title for c in commits] == [f"<{n}>" for n in reversed(range(52))] + [
        "initial commit"
    ]
    assert commits[0].message == "why\n\nso"
    assert commits[0].formatted_title == "&lt;51&gt;"
    assert commits[0].authors == ["alice"]


def test_trees_page_by_page(api: HfApi, repo_id: str) -> None:
    """Every file and folder once; expanded, with the commit that last changed it."""
    first = commit(api, repo_id, *(add(f"d/{n:03}.txt", b"1") for n in range(70)))
    second = commit(api, repo_id, add("d/007.txt", b"2"))

    rows = {row.path: row for row in api.list_repo_tree(repo_id, recursive=True, expand=True)}

    assert len(rows) == 72
    last = {path: row.last_commit.oid for path, row in rows.items() if row.last_commit}
    assert (last["d/000.txt"], last["d/007.txt"], last["d"]) == (first, second, second)
    assert [row.path for row in api.list_repo_tree(repo_id)] == [".gitattributes", "d"]
    assert [row.path for row in api.list_repo_tree(repo_id, "d")][:2] == ["d/000.txt", "d/001.txt"]


def test_paths_info(api: HfApi, repo_id: str) -> None:
    """Files and folders are told of; what is not there is left out."""
    made = commit(api, repo_id, add("d/x y+ü.txt", b"1"))

    rows = api.get_paths_info(repo_id, ["d", "d/x y+ü.txt", "none"], expand=True)

    assert [row.path for row in rows] == ["d", "d/x y+ü.txt"]
    assert rows[1].last_commit is not None
    assert rows[1].last_commit.oid == made


def test_datasets_have_their_own_namespace(api: HfApi, repo_id: str, tmp_path: Path) -> None:
    """A model and a dataset may share a name, and nothing else."""
    api.create_repo(repo_id, repo_type="dataset")
    api.create_commit(
        repo_id,
        [add("rows.parquet", LARGE)],
        commit_message="m",
        repo_type="dataset",
    )

    path = api.hf_hub_download(repo_id, "rows.parquet", repo_type="dataset", local_dir=tmp_path)

    assert Path(path).read_bytes() == LARGE
    assert not api.file_exists(repo_id, "rows.parquet")


def test_a_repository_is_removed_with_everything(hub: LocalHub, api: HfApi, repo_id: str) -> None:
    """What is gone can be made again, and begins anew."""
    commit(api, repo_id, add("x.txt", b"1"))

    api.delete_repo(repo_id)

    assert not api.repo_exists(repo_id)
    assert not hub.folder(repo_id).exists()
    api.create_repo(repo_id)
    assert len(api.list_repo_commits(repo_id)) == 1


def test_repositories_are_listed_for_those_who_may_see_them(hub: LocalHub, api: HfApi) -> None:
    """Private ones for their own people alone."""
    api.create_repo("acme/listed-public")
    api.create_repo("acme/listed-private", private=True)

    mine = {model.id for model in api.list_models(author="acme", search="listed-")}
    theirs = {model.id for model in hub.api(False).list_models(search="listed-")}

    assert mine == {"acme/listed-public", "acme/listed-private"}
    assert theirs == {"acme/listed-public"}


def test_visibility_can_be_changed(hub: LocalHub, api: HfApi, repo_id: str) -> None:
    """What was public is nobody else's business any more, and the other way round."""
    api.update_repo_settings(repo_id, private=True)
    with pytest.raises(RepositoryNotFoundError):
        hub.api(False).model_info(repo_id)

    api.update_repo_settings(repo_id, private=False)

    assert hub.api(False).model_info(repo_id).private is False


def test_cards_are_validated(hub: LocalHub, api: HfApi, repo_id: str) -> None:
    """Metadata that is no YAML, or no keys and values, is refused before anything is sent."""
    card = "---\nbase_model: Qwen/Qwen2-VL-7B-Instruct\nlicense: apache-2.0\n---\n# Card\n"
    commit(api, repo_id, add("README.md", card.encode()))

    for broken in ("---\n: : :\n- x: [\n---\n", "---\njust words\n---\n"):
        with pytest.raises(ValueError, match="Invalid metadata"):
            commit(api, repo_id, add("README.md", broken.encode()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
        ModelCard(card).validate()

    assert len(api.list_repo_commits(repo_id)) == 2


def test_large_files_that_are_not_what_they_say(api: HfApi, repo_id: str, folder: Path) -> None:
    """The digest is checked on arrival; nothing of it is kept."""
    evil = add("evil.safetensors", LARGE)
    evil.upload_info.sha256 = b"\0" * 32

    with pytest.raises(RuntimeError) as failure:
        commit(api, repo_id, evil)

    assert "is not what was announced" in str(failure.value.__cause__)
    assert not [path for path in (folder / "lfs").rglob("*") if path.is_file()]


def test_a_commit_of_what_was_never_sent(api: HfApi, repo_id: str) -> None:
    """A pointer without its content would be a broken download."""
    ghost = add("ghost.safetensors", LARGE + b"!")
    ghost._upload_mode, ghost._is_uploaded = "lfs", True

    with pytest.raises(BadRequestError, match="pointed to a file that does not exist"):
        commit(api, repo_id, ghost)


def test_knowing_a_digest_is_not_having_the_file(hub: LocalHub, api: HfApi, repo_id: str) -> None:
    """A large file of one repository cannot be claimed for another one."""
    api.create_repo("acme/keeps-a-secret", private=True)
    commit(api, "acme/keeps-a-secret", add("secret.safetensors", LARGE + b"secret"))
    claim = add("mine.safetensors", LARGE + b"secret")
    claim._upload_mode, claim._is_uploaded = "lfs", True

    with pytest.raises(BadRequestError, match="does not exist"):
        commit(api, repo_id, claim)

    assert hub.api(False).list_repo_files(repo_id) == [".gitattributes"]


def test_what_git_did_to_a_repository_is_read(api: HfApi, repo_id: str, folder: Path) -> None:
    """Packed objects and references, and commits that git itself made, are as good as ours."""
    made = commit(api, repo_id, add("d/x.txt", b"1"))
    api.create_tag(repo_id, tag="v1")
    api.create_branch(repo_id, branch="gone")
    git(folder, "gc", "--quiet")
    git(folder, "pack-refs", "--all")
    assert not (folder / "refs/tags/v1").exists()

    assert api.model_info(repo_id, revision="v1").sha == made
    assert api.model_info(repo_id, revision=made[:7]).sha == made
    second = commit(api, repo_id, add("d/y.txt", b"2"), parent_commit=made)
    api.delete_branch(repo_id, branch="gone")
    api.delete_tag(repo_id, tag="v1")

    refs = api.list_repo_refs(repo_id)
    assert ([b.name for b in refs.branches], refs.tags) == (["main"], [])
    assert git(folder, "log", "--format=%H", "main").split()[:2] == [second, made]
    require_sound(folder)


def test_a_clone_is_a_working_repository(
    api: HfApi, repo_id: str, folder: Path, tmp_path: Path
) -> None:
    """Whoever leaves takes everything along, with git alone."""
    commit(api, repo_id, add("d/x.txt", b"one\n"))

    git(folder, "clone", "--quiet", str(folder), str(tmp_path / "clone"))

    assert (tmp_path / "clone/d/x.txt").read_text() == "one\n"
