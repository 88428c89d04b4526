"""What is written is what git reads, whatever it is called and whatever git does with it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import StorageError
from infra.local_hub import pointing, repository
from infra.local_hub.access import Caller
from infra.local_hub.names import check_path, check_ref
from infra.local_hub.objects import Objects
from infra.local_hub.references import BRANCHES, References
from infra.local_hub.refusals import Refusal
from infra.local_hub.repository import Repository, signed_commit
from infra.local_hub.trees import PLAIN_FILE, Entry, read_tree, write_tree
from tests.support.git import git, git_bytes, require_sound

SOMEBODY = Caller(digest="0" * 64, user="alice", role="write")
# few letters, so that names are often the beginning of others; and what git sorts in its own way
LETTERS = st.sampled_from([*"ab", "-", ".", "/", " ", "0", "é", "\u4e2d", "\U0001f600", "~", "{"])


@contextmanager
def new_repository() -> Iterator[Repository]:
    """Make a repository in a folder of its own."""
    with tempfile.TemporaryDirectory() as root:
        repository.prepare(Path(root))
        made = Repository(Path(root), "models", "acme", "x")
        assert repository.create(made, SOMEBODY, private=False)
        yield made


def allowed(path: str) -> bool:
    """Whether the Hub takes a path."""
    try:
        return bool(check_path(path))
    except Refusal:
        return False


def fit_together(paths: list[str]) -> bool:
    """Whether no path is a file and a folder at once."""
    return not any(a != b and b.startswith(f"{a}/") for a in paths for b in paths)


FILES = st.dictionaries(
    st.text(LETTERS, min_size=1, max_size=8).filter(allowed), st.binary(max_size=20), max_size=12
).filter(lambda files: fit_together(list(files)))


@pytest.fixture(scope="module")
def kept() -> Iterator[Repository]:
    """Return one repository for all examples."""
    with new_repository() as made:
        yield made


@settings(max_examples=25, deadline=None)
@given(files=FILES)
def test_reading_undoes_writing(kept: Repository, files: dict[str, bytes]) -> None:
    """Every file comes back under its name, and git sees the same and finds nothing wrong."""
    with kept.objects() as objects:
        entries = {path: Entry(PLAIN_FILE, objects.add_blob(data)) for path, data in files.items()}
        tree = write_tree(objects, entries)
        commit = objects.add(signed_commit(tree, [], "a commit", "alice"))
        objects.settle()
        kept.references().put(BRANCHES + "main", commit)

        read = read_tree(objects, tree)

        assert {path: objects.blob(entry.sha) for path, entry in read.files.items()} == files
        listed = git(kept.folder, "ls-tree", "-r", "-z", "main").split("\0")[:-1]
        assert {line.partition("\t")[2]: line.split()[2] for line in listed} == {
            path: entry.sha for path, entry in read.files.items()
        }
        for path in list(files)[:1]:
            shown = git_bytes(kept.folder, "cat-file", "blob", read.files[path].sha)
            assert shown == files[path]
        require_sound(kept.folder)


@settings(max_examples=300, deadline=None)
@given(path=st.text(st.characters(), max_size=30))
def test_no_path_is_taken_that_leads_elsewhere(path: str) -> None:
    """Whatever is taken stays below the folder that it is joined to, out of git's own."""
    if not allowed(path):
        return
    joined = (Path("/srv/x") / path).as_posix()

    assert joined == f"/srv/x/{path}"
    assert ".." not in path.split("/")
    assert ".git" not in path.lower().split("/")


@settings(max_examples=60, deadline=None)
@given(
    name=st.lists(st.sampled_from([*"ab1-._/@{}~^: \\*?[", "é", ".lock", "refs/"]), max_size=6).map(
        "".join
    )
)
def test_git_allows_the_names_that_are_allowed(name: str) -> None:
    """No reference is made that git would call broken."""
    try:
        ref = check_ref(f"refs/tags/{name}")
    except Refusal:
        return
    git(Path(), "check-ref-format", ref)


def test_an_object_that_is_there_is_not_written_again() -> None:
    """Neither loose nor packed."""
    with new_repository() as made:
        with made.objects() as objects:
            sha = objects.add_blob(b"content")
            objects.settle()
        path = made.folder / "objects" / sha[:2] / sha[2:]
        before = path.stat().st_ino
        with made.objects() as objects:
            assert objects.add_blob(b"content") == sha
            objects.settle()
        assert path.stat().st_ino == before


def test_what_is_not_settled_leaves_nothing() -> None:
    """A commit that fails half way has written nothing that anybody could see."""
    with new_repository() as made:
        before = sorted((made.folder / "objects").rglob("*"))
        with made.objects() as objects:
            blob = Entry(PLAIN_FILE, objects.add_blob(b"content"))
            with pytest.raises(Refusal):
                write_tree(objects, {"a": blob, "a/b": blob})

        assert sorted((made.folder / "objects").rglob("*")) == before
        assert not list((made.folder / "hub" / "tmp").iterdir())


def test_what_a_killed_writer_left_is_swept() -> None:
    """Whoever has the lock next removes it."""
    with new_repository() as made:
        (made.folder / "hub" / "tmp" / "object-of-the-dead").write_bytes(b"half")

        with made.locked():
            assert not list((made.folder / "hub" / "tmp").iterdir())


def test_a_reference_is_read_however_git_keeps_it() -> None:
    """Loose, packed, annotated; what is no reference is none, and no file is read for it."""
    with new_repository() as made:
        main = made.references().get("refs/heads/main") or ""
        for name in ("light", "annotated"):
            git(
                made.folder, "-c", "user.name=a", "-c", "user.email=a@b", "tag",
                *(["-m", "text"] if name == "annotated" else []), name, main,
            )  # fmt: skip
        git(made.folder, "pack-refs", "--all")
        references = made.references()

        assert references.get("refs/tags/light") == main
        with made.objects() as objects:
            assert objects.peeled(references.get("refs/tags/annotated") or "") == main
        for other in ("refs/heads", "../HEAD", "HEAD", "refs/heads/main/", "", "refs/\0", "config"):
            assert references.get(other) is None
        assert set(references.below("refs/tags/")) == {"light", "annotated"}


def test_removing_a_packed_reference_keeps_the_others() -> None:
    """Its line goes, and the line that belongs to it."""
    with new_repository() as made:
        for name in ("a", "b", "c"):
            git(
                made.folder, "-c", "user.name=a", "-c", "user.email=a@b", "tag", "-m", "t", name,
                "main",
            )  # fmt: skip
        git(made.folder, "pack-refs", "--all")

        References(made.folder).remove("refs/tags/b")

        assert git(made.folder, "tag").split() == ["a", "c"]
        require_sound(made.folder)


def test_a_reference_that_git_is_moving_is_left_alone() -> None:
    """Both would write it; ours is refused, and says what to do."""
    with new_repository() as made:
        (made.folder / "refs/tags/v1.lock").write_bytes(b"")
        with pytest.raises(StorageError, match=r"v1.lock says that a git process is moving"):
            pointing.make(made, "refs/tags/v1", "main", "alice", None)


def test_links_to_other_repositories_are_no_files() -> None:
    """Git may have put one there; what cannot be downloaded is not listed."""
    with new_repository() as made, Objects(made.folder) as objects:
        blob = Entry(PLAIN_FILE, objects.add_blob(b"x"))
        tree = write_tree(objects, {"a": blob, "sub": Entry(0o160000, "1" * 40)})
        objects.settle()

        assert list(read_tree(objects, tree).files) == ["a"]


def test_two_cannot_make_one_repository() -> None:
    """The second is told, and changes nothing."""
    with new_repository() as made:
        before = made.about()

        assert not repository.create(made, SOMEBODY, private=True)
        assert made.about() == before
        assert not list((made.root / "tmp").iterdir())


def test_a_removed_repository_cannot_be_changed() -> None:
    """Whoever waited for it, or comes too late, is told that it is gone."""
    with new_repository() as made:
        repository.remove(made)

        with pytest.raises(Refusal) as refusal, made.locked():
            pass
        assert refusal.value.code == "RepoNotFound"
        assert list(repository.repositories(made.root, "models")) == []


def test_left_overs_are_swept_at_a_start(tmp_path: Path) -> None:
    """What was being removed goes; what was being made goes when it is old."""
    repository.prepare(tmp_path)
    (tmp_path / "tmp" / "removed-1" / "x").mkdir(parents=True)
    (tmp_path / "tmp" / "repository-new").mkdir()
    (tmp_path / "tmp" / "xet-old").write_bytes(b"x")
    old = 1_000_000_000
    os.utime(tmp_path / "tmp" / "xet-old", (old, old))

    repository.prepare(tmp_path)

    assert [p.name for p in (tmp_path / "tmp").iterdir()] == ["repository-new"]
